"""The database of jobs: which one, and what its trouble looks like."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.engine.engine import Engine
from serve_app.errors import ConfigurationError, NotReady
from serve_app.workflows.jobs.database import Database, database_url
from serve_app.workflows.jobs.job import JobState
from tests.workflows.jobs.conftest import Jobs, chain, ended

CANARY = "a prompt that nobody else may read"


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        (None, "sqlite:////data/jobs.sqlite"),
        ("sqlite:////elsewhere/jobs", "sqlite:////elsewhere/jobs"),
        ("postgresql://me:pw@host/db", "postgresql+psycopg://me:pw@host/db"),
        ("postgres://host/db", "postgresql+psycopg://host/db"),
        ("postgresql+psycopg://host/db", "postgresql+psycopg://host/db"),
    ],
)
def test_one_setting_chooses_the_database(setting: str | None, url: str) -> None:
    assert database_url(setting, Path("/data")) == url


@pytest.mark.parametrize("setting", ["mysql://host/db", "jobs.sqlite", ""])
def test_other_databases_are_refused_by_name(setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        database_url(setting, Path("/data"))
    assert caught.value.param == "jobs.database"


async def test_trouble_is_503_and_quotes_no_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    table = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.String))
    with caplog.at_level(logging.DEBUG), pytest.raises(NotReady) as caught:
        # There is no such table: one of the things that can be wrong with a database.
        await database.transact(lambda c: c.execute(sa.insert(table).values(text=CANARY)))
    told = [str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__)]
    assert not any(CANARY in text for text in [*told, caplog.text])
    database.close()


async def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    tables = sa.MetaData()
    table = sa.Table("notes", tables, sa.Column("text", sa.String))
    database.create(tables)

    def half(connection: sa.Connection) -> None:
        connection.execute(sa.insert(table).values(text="half"))
        raise KeyError

    with pytest.raises(KeyError):
        await database.transact(half)
    assert await database.read(lambda c: c.execute(sa.select(table)).all()) == []
    database.close()


async def test_a_job_lives_through_a_database_that_is_away(
    jobs: Jobs, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    run = Database._run

    def sometimes_away(self: Database, *arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise NotReady("The database of jobs does not answer.")
        return run(self, *arguments)

    async with jobs.running() as service:
        job = await service.submit(chain(await jobs.store(), "make it blue", "make it red"))
        with monkeypatch.context() as patch:
            patch.setattr(Database, "_run", sometimes_away)
            while True:
                try:
                    if (await service.get(job.id)).state.final:
                        break
                except NotReady:
                    continue
        done = await ended(service, job.id)
    assert done.state is JobState.SUCCEEDED
    assert done.run == 1
