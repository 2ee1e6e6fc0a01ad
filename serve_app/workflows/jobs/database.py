"""The database of jobs: an SQLite file, or Postgres by one setting."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as TimeoutError_

from serve_app.errors import ConfigurationError, NotReady

T = TypeVar("T")

logger = logging.getLogger(__name__)

_BUSY_S = 30.0
"""How long a writer waits for another one, seconds; SQLite has one at a time."""

_RETRY_AFTER_S = 5.0


def database_url(setting: str | None, folder: Path) -> str:
    """The SQLAlchemy URL of ``jobs.database``; by default of a file in ``folder``.

    Raises ``ConfigurationError`` for a database of another kind.
    """
    if setting is None:
        return f"sqlite:///{folder / 'jobs.sqlite'}"
    scheme, separator, rest = setting.partition("://")
    if separator and scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    if separator and scheme == "sqlite":
        return setting
    raise ConfigurationError(
        "`jobs.database` must be a postgresql:// or sqlite:// URL.", "jobs.database"
    )


class Database:
    """Transactions that run in threads, each whole or not at all.

    What is committed survives the death of the process, and with SQLite a power cut, too.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # Rows hold what users wrote: no error may quote them.
        self._engine = sa.create_engine(
            url, pool_pre_ping=not url.startswith("sqlite"), hide_parameters=True
        )
        if self._sqlite:
            Path(self._engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
            sa.event.listen(self._engine, "connect", _prepare)

    def create(self, tables: sa.MetaData) -> None:
        """Make the tables that are not there yet."""
        with _translated():
            tables.create_all(self._engine)

    async def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work``, which may write; raises ``NotReady`` if the database is away or full."""
        # A writer takes SQLite's lock when it begins: one that has read before might never get it.
        return await asyncio.to_thread(self._run, work, "BEGIN IMMEDIATE", {})

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work``, which sees one state of the database; raises as ``transact`` does."""
        snapshot = {} if self._sqlite else {"isolation_level": "REPEATABLE READ"}
        return await asyncio.to_thread(self._run, work, "BEGIN", snapshot)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def _run(self, work: Callable[[sa.Connection], T], begin: str, options: dict[str, Any]) -> T:
        engine = self._engine.execution_options(**options) if options else self._engine
        with _translated(), engine.begin() as connection:
            if self._sqlite:
                connection.exec_driver_sql(begin)
            return work(connection)


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    # With a log, readers and the writer don't wait for each other.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={int(_BUSY_S * 1000)}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError_) as error:
        # Away, full, or all connections taken. Its text may quote rows: the type must do.
        logger.error("the database of jobs: %s", type(error).__name__)
        raise NotReady(
            "The database of jobs does not answer. Try again later.", None, _RETRY_AFTER_S
        ) from None
