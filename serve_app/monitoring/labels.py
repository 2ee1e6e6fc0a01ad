"""What counts are told apart by. Everything else is ``other``, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Collection, Container

from serve_app.edits.request import EditType
from serve_app.edits.result import CacheStatus
from serve_app.errors import EditServiceError

OTHER = "other"

EDIT_TYPES = frozenset(str(kind) for kind in EditType)
VERDICTS = frozenset({"pass", "pass_unverified", "fail"})

REFRESHED = "refreshed"
"""How an edit came that was made because the request did not want the cached one."""

CACHE = frozenset(str(status) for status in CacheStatus) | {REFRESHED}

UNANSWERED = "unanswered"
"""Class of a request whose client went before there was an answer."""

STATUS_CLASSES = frozenset({"1xx", "2xx", "3xx", "4xx", "5xx", UNANSWERED})

MOST_STAGES = 16
"""Stages name themselves, so only their number is bounded; an edit has five of them now."""

TOTAL = "total"
"""The stage that is all of an edit: from its request to its answer, every attempt included."""


def _codes(error: type[EditServiceError]) -> set[str]:
    return {error.code}.union(*(_codes(kind) for kind in error.__subclasses__()))


CODES = frozenset(_codes(EditServiceError))


def folded(label: object, known: Container[str]) -> str:
    """``label``, or ``other`` if it is none of the ``known``."""
    return label if isinstance(label, str) and label in known else OTHER


def stage_of(name: object, there: Collection[str]) -> str:
    """What the stage ``name`` is counted as, beside the stages that are ``there`` already."""
    if not isinstance(name, str):
        return OTHER
    return name if name in there or len(there) < MOST_STAGES else OTHER


def status_class(status: int) -> str:
    """The class of an HTTP status, such as ``4xx``."""
    return folded(f"{status // 100}xx", STATUS_CLASSES)
