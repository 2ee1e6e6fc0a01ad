"""Hours of waiting in no time, and results to keep: what tests of storage and flights share."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any

from serve_app.edits.result import EditResult


def edit_result(
    number: int = 0, png: bytes = b"\x89PNG\r\n\n image \n", metadata: dict[str, Any] | None = None
) -> EditResult:
    return EditResult(
        id=f"edit-{number:032x}",
        png=png,
        width=64,
        height=48,
        seed=2**63 - 1,
        verdict="pass",
        attempts=1,
        metadata=metadata
        if metadata is not None
        else {"prompt": "간판 招牌", "steps": [1, 2.5, None]},
    )


class _InstantSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Lets a loop's clock jump to the next timer instead of sleeping."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits and nobody will ever wake")
        self.loop.now += timeout
        events: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in which an hour of waiting takes no time; no threads, no sockets.

    A deadlock is an error at once: nothing is left to wake the loop.
    """

    def __init__(self) -> None:
        self.now = 0.0
        selector = _InstantSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run_virtually(main: Any) -> Any:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time: hours pass at once, and a deadlock is an error."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run


def files_below(folder: Any) -> Mapping[str, bytes]:
    """Every file below ``folder``, by its relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
