"""What a run would do: counts, a sample of its edits, time and price. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serve_app.bulk.estimate import Estimate, PlannedEdit, estimate, mean_forwards, planned
from serve_app.bulk.ledger import read_ledger
from serve_app.bulk.manifest.check import CheckedManifest
from serve_app.bulk.preparing import Order, begun, checked
from serve_app.bulk.record import Status
from serve_app.config import ServiceConfig
from serve_app.storage.byte_store import ByteStore


@dataclass(frozen=True, slots=True)
class DryRun:
    """A checked manifest; ``ended`` rows are done in this output, ``left`` would be run now."""

    manifest: CheckedManifest
    ended: int
    left: int
    sample: tuple[PlannedEdit, ...]
    estimate: Estimate


def dry_run(
    config: ServiceConfig,
    order: Order,
    told: Callable[[int], None] | None = None,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
) -> DryRun:
    """Check everything that is checked before a run of at most ``limit`` rows.

    Raises ``UnusableManifest``, and ``RunRefused`` if the output belongs to another run.
    """
    order = order.absolute()
    store = ByteStore(order.out)
    records = None if begun(store, order, config) is None else read_ledger(store)
    manifest = checked(order, config, told)
    ended = 0 if records is None else records.num_rows
    left = max(0, manifest.rows - manifest.faults.count - ended)
    if retry_failed:
        statuses = [] if records is None else records["status"].to_pylist()
        left = statuses.count(str(Status.FAILED))
    left = left if limit is None else min(left, limit)
    forwards = mean_forwards(manifest.sample, config)
    return DryRun(
        manifest,
        ended,
        left,
        tuple(planned(row, config) for row in manifest.sample),
        estimate(left, forwards, records, config),
    )
