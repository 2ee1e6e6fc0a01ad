"""The same request twice is one job: keys that clients choose, each bound to its request.

After the draft of the IETF, "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from serve_app.errors import IdempotencyKeyReused
from serve_app.workflows.jobs.tables import IDEMPOTENCY_KEYS

KEPT_S = 24 * 3600.0
"""How long a key names its job, seconds."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key and the SHA-256 of the request it came with."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, request: Mapping[str, Any]) -> IdempotencyKey:
        """Bind ``key`` to ``request``, whose JSON decides; the order of its names doesn't."""
        canonical = json.dumps(request, sort_keys=True)
        return cls(key, hashlib.sha256(canonical.encode()).hexdigest())


def known_job(connection: sa.Connection, key: IdempotencyKey) -> str | None:
    """The id of the job that ``key`` was given with in the last 24 hours.

    Raises ``IdempotencyKeyReused`` if that was another request.
    """
    table = IDEMPOTENCY_KEYS
    row = connection.execute(sa.select(table).where(table.c.key == key.key)).mappings().first()
    if row is None:
        return None
    if row["created_at"] < time.time() - KEPT_S:
        connection.execute(sa.delete(table).where(table.c.key == key.key))
        return None
    if row["digest"] != key.digest:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was given with another request. Use a new key for it.",
            "Idempotency-Key",
        )
    return str(row["job_id"])


def remember(connection: sa.Connection, key: IdempotencyKey, job_id: str) -> None:
    """Bind ``key`` to a job; raises SQLAlchemy's ``IntegrityError`` if a twin was faster."""
    connection.execute(
        sa.insert(IDEMPOTENCY_KEYS).values(
            key=key.key, digest=key.digest, job_id=job_id, created_at=time.time()
        )
    )


def forget_old(connection: sa.Connection) -> None:
    """Drop the keys that have had their time."""
    table = IDEMPOTENCY_KEYS
    connection.execute(sa.delete(table).where(table.c.created_at < time.time() - KEPT_S))
