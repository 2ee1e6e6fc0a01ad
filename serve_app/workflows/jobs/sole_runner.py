"""One process at a time runs the jobs of a database, and its place is free when it dies.

While a service is updated, the old and the new process overlap. Both take jobs in; only one may
take up what seems to have been interrupted.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from serve_app.errors import NotReady

_LOOK_S = 0.2
_POSTGRES_KEY = 0x71656A6F6273  # "qejobs"

_SILENT_S = 20
"""So long may the other end of a connection say nothing, seconds: then it is gone. A machine that
dies closes none, and Postgres would keep its place for two hours: kernels are patient."""

_PROBES = 3


def connections(url: sa.URL) -> sa.Engine:
    """Connections to Postgres whose two ends soon find out that the other one is gone."""
    probe_s = _SILENT_S // (_PROBES + 1)
    probing = {"idle": probe_s, "interval": probe_s, "count": _PROBES}
    return sa.create_engine(
        url,
        poolclass=sa.NullPool,
        connect_args={
            "options": " ".join(f"-c tcp_keepalives_{name}={it}" for name, it in probing.items()),
            "connect_timeout": _SILENT_S,
            "tcp_user_timeout": 1000 * _SILENT_S,
        },
    )


class SoleRunner:
    """A lock that the operating system, or Postgres, opens when its holder dies."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._file: int | None = None
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None

    async def wait(self) -> None:
        """Return once this process is the one."""
        while True:
            if await asyncio.to_thread(self._taken):
                return
            await asyncio.sleep(_LOOK_S)

    async def check(self) -> None:
        """Raise ``NotReady`` if the place was lost: with its connection to Postgres."""
        if self._connection is not None:
            await asyncio.to_thread(self._ask)

    def _ask(self) -> None:
        try:
            if self._connection is not None:
                self._connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError as error:
            raise NotReady("The database of jobs does not answer.") from error

    def release(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.close()
        if self._engine is not None:
            self._engine.dispose()

    def _taken(self) -> bool:
        return self._file_taken() if self._url.drivername == "sqlite" else self._key_taken()

    def _file_taken(self) -> bool:
        if self._file is None:
            path = Path(f"{self._url.database}.lock")
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _key_taken(self) -> bool:
        if self._connection is None:
            # A connection of its own: the lock is the session's.
            self._engine = connections(self._url)
            self._connection = self._engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
        taken = self._connection.execute(sa.select(sa.func.pg_try_advisory_lock(_POSTGRES_KEY)))
        return bool(taken.scalar())
