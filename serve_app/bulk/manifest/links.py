"""Links below a folder, followed step by step so that nothing outside of it is touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MOST_LINKS = 40
"""As many as Linux follows."""


class LeadsOutside(Exception):
    """A link, or a ``..`` behind one, leaves the folder."""


class LinkedFolder:
    """The folder ``path``, which may itself be reached by links: it is the operator's choice."""

    def __init__(self, path: str) -> None:
        self._as_given = segments(os.path.abspath(path))  # noqa: PTH100 (lexical)
        self.real = os.path.realpath(path)

    def resolved(self, place: str) -> tuple[str, ...]:
        """The names that lead from the folder to ``place`` (relative, posix) without links.

        A link is followed by what it says: one that leaves the folder does so even if others
        would lead it back. Raises ``LeadsOutside``, or ``OSError`` if a part is not there.
        """
        pending = place.split("/")[::-1]
        done: list[str] = []
        links = 0
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if not done:
                    raise LeadsOutside
                done.pop()
                continue
            target = _target("/".join((self.real, *done, name)))
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.startswith("/"):
                done, pending = [], pending + self._below(target)[::-1]
            else:
                pending += target.split("/")[::-1]
        return tuple(done)

    def open(self, place: str) -> int:
        """Open ``place`` for reading, with whatever links there are now; a file descriptor.

        Never waits, whatever is there. Raises ``LeadsOutside`` or ``OSError``.
        """
        *folders, name = self.resolved(place) or ("",)
        # From folder to folder without links: one put there in the meantime is not followed.
        at = os.open(self.real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                at, before = os.open(folder, flags, dir_fd=at), at
                os.close(before)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(name, flags, dir_fd=at)
        finally:
            os.close(at)

    def _below(self, target: str) -> list[str]:
        names = segments(target)
        for folder in (segments(self.real), self._as_given):
            if names[: len(folder)] == folder:
                return names[len(folder) :]
        raise LeadsOutside


def _target(path: str) -> str | None:
    """Where a link leads; ``None`` for anything else that is there."""
    try:
        return str(Path(path).readlink())
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def segments(path: str) -> list[str]:
    """The names in ``path``, without those that lead nowhere else."""
    return [name for name in path.split("/") if name not in ("", ".")]
