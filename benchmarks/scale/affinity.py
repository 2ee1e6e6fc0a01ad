"""Which editor a router sends an edit to: `serve_app/deployments/affinity.py` in simulated time."""

from __future__ import annotations

import bisect
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.scale.editors import Editor
from serve_app.deployments.affinity import BALANCE

_VIRTUAL_NODES = 100
"""Of each replica on the ring: Ray's default."""


class Ring:
    """Every editor's places on the ring, which all routers know alike."""

    def __init__(self, editors: Sequence[Editor]) -> None:
        self.editors = editors
        places = sorted(
            (_place(f"{editor.name}:{node}"), editor.name)
            for editor in editors
            for node in range(_VIRTUAL_NODES)
        )
        self._places = [place for place, _ in places]
        self._owners = [owner for _, owner in places]

    def ranked(self, subject: int) -> Iterator[Editor]:
        """The editors from the one that ``subject`` belongs to on, each once."""
        start = bisect.bisect_right(self._places, _place(f"subject {subject}"))
        seen: set[int] = set()
        for offset in range(len(self._owners)):
            owner = self._owners[(start + offset) % len(self._owners)]
            if owner not in seen:
                seen.add(owner)
                yield self.editors[owner]
                if len(seen) == len(self.editors):
                    return


class Affinity:
    """One router's choice: it knows of its own calls alone."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._in_flight: Counter[int] = Counter()
        self._sent = 0

    def choose(self, subject: int, alive: int, elsewhere: bool = False) -> Editor | None:
        """The first editor whose load is in bounds, or the second of them for who goes elsewhere.

        ``alive`` is the number of editors that take edits; ``None`` if there is none.
        """
        if not alive:
            return None
        bound = math.ceil(BALANCE * (self._sent + 1) / alive)
        last = first = None
        for editor in self._ring.ranked(subject):
            if not editor.alive or editor.draining:
                continue
            first = first or editor
            if self._in_flight[editor.name] < bound:
                if not elsewhere or last is not None:
                    return editor
                last = editor
        return last or first

    def load(self, editor: Editor) -> int:
        """Its own calls at ``editor`` now."""
        return self._in_flight[editor.name]

    def sent(self, editor: Editor) -> None:
        """Count a call."""
        self._in_flight[editor.name] += 1
        self._sent += 1

    def done(self, editor: Editor) -> None:
        """It has ended."""
        self._in_flight[editor.name] -= 1
        self._sent -= 1


def _place(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
