"""One at a time has the place, and it is free again when its holder is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.errors import NotReady
from serve_app.workflows.jobs.database import database_url
from serve_app.workflows.jobs.sole_runner import SoleRunner, connections
from tests.workflows.jobs.postgres import Postgres


@pytest.fixture
def url(database: str | None, tmp_path: Path) -> str:
    return database_url(database, tmp_path)


async def test_the_second_one_waits_for_the_first(url: str) -> None:
    first, second = SoleRunner(url), SoleRunner(url)
    await first.wait()
    waiting = asyncio.create_task(second.wait())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.5)
    await first.check()
    first.release()
    await waiting
    second.release()


async def test_who_lost_the_connection_is_told(postgres: Postgres) -> None:
    url = database_url(postgres.new_database(), Path())
    runner = SoleRunner(url)
    await runner.wait()
    with connections(sa.make_url(url)).connect() as other:
        other.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with pytest.raises(NotReady):
        await runner.check()
    runner.release()


async def test_postgres_misses_a_machine_within_seconds(postgres: Postgres) -> None:
    """It closes a connection that nobody answers on, and its lock with it."""
    url = sa.make_url(database_url(postgres.new_database(), Path()))
    with connections(url).connect() as connection:
        idle, interval, count = (
            int(connection.scalar(sa.text(f"SHOW tcp_keepalives_{name}")) or 0)
            for name in ("idle", "interval", "count")
        )
    assert 0 < idle + interval * count <= 30
