"""What a run came to, in a few numbers: `summary.json`, and the last lines of the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from serve_app.bulk.desk import Stopped
from serve_app.bulk.record import Status
from serve_app.bulk.report import REPORT
from serve_app.bulk.results import RESULTS
from serve_app.bulk.run_record import RunRecord
from serve_app.storage.byte_store import ByteStore

SUMMARY = "summary.json"


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows of a run by how they ended.

    ``invalid`` ones were refused by the check and count as failed, too. ``last_ended_at`` (in
    seconds since 1970) tells one state of the ledger from another.
    """

    rows: int
    succeeded: int
    failed: int
    invalid: int
    verdicts: Mapping[str, int]
    failures: Mapping[str, int]
    last_ended_at: float | None
    stopped: str | None = None

    @property
    def left(self) -> int:
        """Rows that have not ended yet."""
        return self.rows - self.succeeded - self.failed

    def write(self, store: ByteStore) -> None:
        """Write ``summary.json``, which says that results and report are of this state."""
        store.put(SUMMARY, json.dumps(asdict(self), indent=2).encode())

    def is_written(self, store: ByteStore) -> bool:
        """Whether results and report of this very state are there."""
        if not (store.exists(RESULTS) and store.exists(REPORT)):
            return False
        data = store.get(SUMMARY)
        if data is None:
            return False
        try:
            before = json.loads(data)
        except ValueError:
            return False
        now = asdict(self)
        return isinstance(before, dict) and all(
            before.get(name) == value for name, value in now.items() if name != "stopped"
        )


def summarised(record: RunRecord, records: pa.Table, stopped: Stopped | None) -> Summary:
    """Sum up the run ``record`` with the ledger ``records``."""
    by_status = _counts(records["status"])
    failed = records.filter(pc.equal(records["status"], str(Status.FAILED)))
    failures = _counts(failed["error_code"])
    if record.manifest.invalid:
        failures["invalid"] = record.manifest.invalid
    return Summary(
        rows=record.manifest.rows,
        succeeded=by_status.get(str(Status.SUCCEEDED), 0),
        failed=by_status.get(str(Status.FAILED), 0) + record.manifest.invalid,
        invalid=record.manifest.invalid,
        verdicts=_counts(records["verdict"].drop_null()),
        failures=failures,
        last_ended_at=pc.max(records["ended_at"]).as_py(),
        stopped=None if stopped is None else str(stopped),
    )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(column).to_pylist()
    return {str(one["values"]): one["counts"] for one in counted}
