"""How many objects of a kind are alive."""

from __future__ import annotations

import gc
from itertools import chain
from operator import countOf


def alive(kind: type) -> int:
    """Count the objects whose type is exactly `kind`, with other threads running.

    One call of C looks and lets go. A list of all objects that lives any longer also holds the
    tuples that other threads are just filling, and CPython fails a thread that then finds its
    own tuple shared (`SystemError: bad argument to internal function`).
    """
    gc.collect()
    return countOf(map(type, chain.from_iterable(map(gc.get_objects, (None,)))), kind)
