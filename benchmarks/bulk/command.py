"""A run that says on every look how far it is, as JSON: `python -m benchmarks.bulk.command`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import REPOSITORY
from serve_app.bulk.manifest.source import Source
from serve_app.bulk.preparing import Order
from serve_app.bulk.progress import RunProgress
from serve_app.bulk.run import Wishes, run_bulk
from serve_app.serve_config import service_settings

CONFIG = REPOSITORY / "configs" / "bulk.yaml"


def tell(progress: RunProgress) -> None:
    """Print ``progress`` on a line of its own."""
    print(json.dumps({**asdict(progress), "verdicts": dict(progress.verdicts)}), flush=True)


def main(manifest: str, out: str, limit: str | None = None) -> None:
    """Run ``manifest`` as the command does."""
    order = Order(Source(manifest), str(Path(out)), skip_invalid=True)
    wishes = Wishes("again", limit=None if limit is None else int(limit))
    run_bulk(service_settings(CONFIG), order, wishes, tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
