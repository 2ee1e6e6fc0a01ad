"""A million rows: checked, begun, and found to be done.

Nobody waits for a million edits here: the ledger of the finished run is made up.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.bulk.manifests import good_rows, write
from benchmarks.bulk.running import Running, ledger

ROWS = 1_000_000
_SEGMENT = 1000


def begin(folder: Path) -> tuple[Path, float]:
    """Write a manifest, run one row of it; seconds from the command to that row's begin."""
    manifest = write(folder, good_rows(1))
    shapes = good_rows(1000)
    with manifest.open("w") as file:
        for index in range(ROWS):
            row = shapes[index % 1000] | {"id": f"sku-{index}", "seed": index}
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
    running = Running(manifest, folder / "out", 1)
    running.wait()
    (first,) = ledger(folder / "out")
    return manifest, first["ended_at"] - first["seconds"] - running.started


def finish(out: Path) -> None:
    """Make up that all rows have ended, as the first one did."""
    (first,) = ledger(out)
    first_row = {name: value for name, value in first.items() if name not in ("row", "id")}
    template = json.dumps(first_row)[1:]
    stamp = time.time_ns()
    for start in range(0, ROWS, _SEGMENT):
        lines = "".join(
            f'{{"row": {row}, "id": "sku-{row - 1}", {template}\n'
            for row in range(start + 1, start + _SEGMENT + 1)
        )
        name = f"{stamp:020d}-00000000-{start // _SEGMENT:06d}.jsonl"
        (out / "ledger" / name).write_text(lines)


def resume(manifest: Path, out: Path) -> float:
    """Seconds of the command on a run whose rows have all ended."""
    return Running(manifest, out).wait()


def results(out: Path) -> int:
    """Rows of ``results.parquet``."""
    return int(pq.read_metadata(out / "results.parquet").num_rows)
