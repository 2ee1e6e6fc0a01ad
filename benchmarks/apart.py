"""An object in a process of its own, called from here one call at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Any, Self

_own: Any = None
"""In the other process: the object."""


class Apart:
    """Makes ``make(*arguments)`` in a fresh process; ``call`` runs its methods there.

    Two ways of computing in one process disturb each other: each thread that computes keeps
    OpenMP workers, and once there are more of them than cores, GNU OpenMP lets all of them
    sleep between operations instead of waiting awake. Small models then take twice as long.
    ``threads`` is how many OpenMP may use there; it is read when a process starts.
    """

    def __init__(self, threads: int, make: Callable[..., object], *arguments: Any) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._pool = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _make, (make, *arguments)
        )

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method there and return what it returns, pickled; raises what it raises."""
        return self._pool.submit(_call, method, *arguments).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()


def _make(make: Callable[..., object], *arguments: Any) -> None:
    global _own
    _own = make(*arguments)


def _call(method: str, *arguments: Any) -> Any:
    return getattr(_own, method)(*arguments)
