"""Who starts and who has ended: the one place that every row of a run passes, twice.

The desk hands rows out as places get free, so that what is under way, and with it the memory,
stays bounded; it stops handing out when the run is to stop; and it writes the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from serve_app.bulk.ledger import Ledger
from serve_app.bulk.record import RowRecord, Status
from serve_app.errors import EditServiceError, ReplicaLost

_LEAST_FOR_A_SHARE = 100
"""Rows that must have ended before a share of failures means anything."""


class Turn(StrEnum):
    """What becomes of a row that is about to be edited."""

    GO = "go"
    SKIP = "skip"  # it has ended already, or the run is stopping
    ALONE = "alone"  # an editor died when it was there: it or another row may be why
    GIVE_UP = "give_up"  # editors die over it


class Stopped(StrEnum):
    """Why no further rows are handed out."""

    INTERRUPTED = "interrupted"
    TOO_MANY_ERRORS = "too_many_errors"
    TROUBLE = "trouble"  # what every row needs is away


@dataclass(frozen=True, slots=True)
class MaxErrors:
    """Failed rows after which a run stops: a number, or a share (0 to 1) of those that ended."""

    number: int | None = None
    share: float | None = None

    def exceeded(self, failed: int, ended: int) -> bool:
        """Whether ``failed`` of ``ended`` rows are too many; a share needs 100 rows first."""
        if self.number is not None and failed >= max(1, self.number):
            return True
        return (
            self.share is not None and ended >= _LEAST_FOR_A_SHARE and failed > self.share * ended
        )


NO_LIMIT = MaxErrors()


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a run is: rows that ended in it, and those at an editor now.

    ``began_at`` is when its first row began, in seconds since 1970. ``trouble`` is what keeps
    every row from ending.
    """

    succeeded: int = 0
    failed: int = 0
    in_flight: int = 0
    begun: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    began_at: float | None = None
    stopped: Stopped | None = None
    trouble: EditServiceError | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """``rows`` are handed out, of the first ``looked_at`` that were asked for."""

    rows: list[int]
    looked_at: int


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """What a desk goes by.

    Numbers of rows are at most ``last``, ``window`` of them are out at once, and one over which
    ``lives`` editors died is given up.
    """

    last: int
    window: int
    lives: int = 2
    max_errors: MaxErrors = NO_LIMIT


class Desk:
    """Hands out the rows of one run. For one event loop."""

    def __init__(self, ledger: Ledger, options: DeskOptions) -> None:
        self._ledger = ledger
        self._options = options
        self._out: set[int] = set()
        self._done = bytearray(options.last + 1)  # a byte a row: sets would grow with the run
        self._begun: Counter[int] = Counter()
        self._moved = asyncio.Event()
        self._stopped: Stopped | None = None
        self._trouble: EditServiceError | None = None
        self._began_at: float | None = None
        self._ended: Counter[Status] = Counter()
        self._verdicts: Counter[str] = Counter()
        self._starts = 0

    async def take(self, rows: Sequence[int]) -> Granted | None:
        """Which of ``rows``, the next ones in order, may be handed out; ``None`` ends the run.

        Waits until there is a place. Those that ended, or are handed out already, are passed
        over: a source that starts anew asks for them once more.
        """
        while self._stopped is None:
            places = self._options.window - len(self._out)
            if places > 0:
                return self._granted(rows, places)
            self._moved.clear()
            await self._moved.wait()
        return None

    def _granted(self, rows: Sequence[int], places: int) -> Granted:
        granted: list[int] = []
        for looked_at, row in enumerate(rows):
            if len(granted) == places:
                return Granted(granted, looked_at)
            if not self._done[row] and row not in self._out:
                self._out.add(row)
                granted.append(row)
        return Granted(granted, len(rows))

    def begin(self, row: int, *, alone: bool = False) -> Turn:
        """Whether ``row``, which has come to an editor, is to be edited now.

        A row that comes again lost its editor, and goes on if it is ``alone`` there: what kills
        editors must not take others along. One that ended is only sent again by Ray.
        """
        if row not in self._out:
            return Turn.SKIP
        if self._stopped is not None:
            self._leave(row)
            return Turn.SKIP
        if self._begun[row] >= self._options.lives:
            return Turn.GIVE_UP
        if self._begun[row] and not alone:
            return Turn.ALONE
        self._begun[row] += 1
        self._starts += 1
        self._began_at = self._began_at or time.time()
        return Turn.GO

    async def end(self, record: RowRecord) -> None:
        """Commit how a row ended; returns when the ledger has it. Raises ``NotReady``."""
        if record.row not in self._out:
            return
        await self._ledger.append(record)
        if record.row not in self._out:  # it was sent twice, and the other one was faster
            return
        self._leave(record.row)
        self._done[record.row] = 1
        self._ended[record.status] += 1
        if record.verdict is not None:
            self._verdicts[record.verdict] += 1
        failed = self._ended[Status.FAILED]
        if self._stopped is None and self._options.max_errors.exceeded(failed, self._ended.total()):
            self.stop(Stopped.TOO_MANY_ERRORS)

    def stop(self, why: Stopped) -> None:
        """Hand out no more rows; those at an editor are finished."""
        self._stopped = self._stopped or why
        self._moved.set()

    def give_up(self, trouble: EditServiceError) -> None:
        """Stop, since no row can end: an editor can't start, or storage stays away."""
        self._trouble = self._trouble or trouble
        self.stop(Stopped.TROUBLE)

    def done(self) -> bytes:
        """One byte for each row from 0 to the last: 1 if it has ended in this run."""
        return bytes(self._done)

    def tally(self) -> Tally:
        """How far the run is."""
        return Tally(
            succeeded=self._ended[Status.SUCCEEDED],
            failed=self._ended[Status.FAILED],
            in_flight=len(self._begun),
            begun=self._starts,
            verdicts=dict(self._verdicts),
            began_at=self._began_at,
            stopped=self._stopped,
            trouble=self._trouble,
        )

    def _leave(self, row: int) -> None:
        self._out.discard(row)
        self._begun.pop(row, None)
        self._moved.set()


def died_over() -> ReplicaLost:
    """What a row failed of over which editors died."""
    return ReplicaLost("The editors that worked on this row died over it, so it was given up.")
