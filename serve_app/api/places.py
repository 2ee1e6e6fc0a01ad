"""So many of something at once, and a clear answer to whoever comes later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serve_app.errors import Overloaded


class Places:
    """``count`` places; ``full`` tells whoever finds none to come back in ``later_s`` seconds.

    For one event loop.
    """

    def __init__(self, count: int, full: str, later_s: float) -> None:
        self._free = count
        self._full = full
        self._later_s = later_s

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a place for the block; raises ``Overloaded`` if there is none."""
        if self._free == 0:
            raise Overloaded(self._full, None, self._later_s)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
