"""Databases of jobs that were launched on before: a first launch takes over a second."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.database import Database, database_url
from serve_app.workflows.jobs.durable import DurableRuns


def prepare(setting: str | None, folder: Path) -> None:
    """Make all tables and queues in the database of ``setting``, or in a file in ``folder``."""
    # Elsewhere, for here a loop may be running.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, _launched_once(database_url(setting, folder))).result()


def put_sqlite(folder: Path) -> None:
    """Put a prepared SQLite file where a service with ``folder`` as storage looks for it."""
    shutil.copy(_sqlite(), folder)


@functools.cache
def _sqlite() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jobs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prepare(None, folder)
    return folder / "jobs.sqlite"


async def _launched_once(url: str) -> None:
    database = Database(url)
    Catalogue(database)
    runs = DurableRuns(url, jobs=16, jobs_per_user=8, poll_s=0.02)

    async def nothing(*_: object) -> None:
        pass

    await runs.launch(nothing, nothing)
    await runs.close()
    database.close()
