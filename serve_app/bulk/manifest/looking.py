"""Which places of a local input root hold files: every folder is listed once."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from serve_app.bulk.manifest.links import LeadsOutside, LinkedFolder
from serve_app.errors import OutsideInputRoot


@dataclass(frozen=True, slots=True)
class _Listing:
    """Names in a folder; ``known`` is false where it could not be listed."""

    files: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    known: bool = True


_GONE = _Listing()
_UNKNOWN = _Listing(known=False)


class Lookout:
    """Looks where places lead below ``root``; nothing outside of it is touched."""

    def __init__(self, root: LinkedFolder) -> None:
        self._root = root
        self._listings: dict[str, _Listing | None] = {}
        self._linked: dict[str, bool | None] = {}
        self._missing: set[str] = set()

    @property
    def missing(self) -> int:
        """How many different places are known to hold no file."""
        return len(self._missing)

    def look(self, place: str, field: str) -> None:
        """Look for the file at ``place``, a normalised path.

        Raises ``OutsideInputRoot``, naming ``field``, if a link leads out of the root.
        """
        folder, _, name = place.rpartition("/")
        if folder not in self._listings:
            self._listings[folder] = self._listed(folder)
        listing = self._listings[folder]
        there: bool | None = False
        if listing is not None and name in listing.links:
            if place not in self._linked:
                self._linked[place] = self._is_file(place)
            there = self._linked[place]
        elif listing is not None:
            there = name in listing.files or not listing.known
        if listing is None or there is None:
            raise OutsideInputRoot(f"`{field}` leads out of the input root by a link.", field)
        if not there:
            self._missing.add(place)

    def _listed(self, folder: str) -> _Listing | None:
        """What is in ``folder``; ``None`` if it is outside."""
        try:
            path = self._path(folder)
            with os.scandir(path) as entries:
                files, links = [], []
                for entry in entries:
                    if entry.is_symlink():
                        links.append(entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry.name)
        except LeadsOutside:
            return None
        except (FileNotFoundError, NotADirectoryError):
            return _GONE
        except OSError:
            return _UNKNOWN  # whoever reads an image there gets to know why
        return _Listing(frozenset(files), frozenset(links))

    def _is_file(self, place: str) -> bool | None:
        """Whether a linked ``place`` is a file; ``None`` if it is outside."""
        try:
            facts = Path(self._path(place)).stat(follow_symlinks=False)
        except LeadsOutside:
            return None
        except OSError:
            return False
        return stat.S_ISREG(facts.st_mode)

    def _path(self, place: str) -> str:
        return "/".join((self._root.real, *self._root.resolved(place)))
