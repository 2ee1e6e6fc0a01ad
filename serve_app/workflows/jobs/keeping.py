"""What is erased: jobs on request, and everything after its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import sqlalchemy as sa

from serve_app.storage.files import FileStore
from serve_app.storage.results import RESULT_ID, ResultStore
from serve_app.workflows.jobs import erasing, idempotency, rows
from serve_app.workflows.jobs.database import Database

_AT_ONCE = 500

Forget = Callable[[str], Awaitable[None]]
"""Takes a content key whose cached result must not be used again."""


class Keeper:
    """Erases jobs and images that nothing else uses, also from the cache; one at a time."""

    def __init__(
        self, database: Database, files: FileStore, results: ResultStore, forget: Forget
    ) -> None:
        self._database = database
        self._files = files
        self._results = results
        self._forget = forget
        self._alone = asyncio.Lock()

    async def erase_job(self, job_id: str, ended_before: float | None = None) -> bool:
        """Erase a job that has ended, and all images that no other job uses; false if it is on.

        With ``ended_before`` (seconds since 1970) it must have ended before. The job goes last:
        an erasure that failed half-way is done again by erasing it again.
        """

        def has_ended(connection: sa.Connection) -> bool:
            job = rows.locked(connection, job_id)
            return job.finished_at is not None and (
                ended_before is None or job.finished_at < ended_before
            )

        def unused(connection: sa.Connection) -> list[str]:
            return erasing.unused_images(connection, job_id) if has_ended(connection) else []

        def erase(connection: sa.Connection) -> bool:
            if ended := has_ended(connection):
                erasing.erase(connection, job_id)
            return ended

        async with self._alone:
            for image_id in await self._database.transact(unused):
                await self._erase_image(image_id, job_id)
            return await self._database.transact(erase)

    async def erase_images_before(self, moment: float) -> int:
        """Erase files and results from before ``moment`` that no job uses; return how many."""
        await self._database.transact(idempotency.forget_old)
        old = [*await self._files.ids_before(moment), *await self._results.ids_before(moment)]
        erased = 0
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]
            used = await self._database.read(partial(erasing.used_of, image_ids=some))
            for image_id in some:
                if image_id not in used:
                    async with self._alone:
                        erased += await self._erase_image(image_id, written_before=moment)
        return erased

    async def _erase_image(
        self, image_id: str, job_id: str | None = None, written_before: float | None = None
    ) -> bool:
        """Erase an image, unless a job other than ``job_id`` has come to use it.

        Or a file was stored again since ``written_before``, seconds since 1970.
        """
        if await self._database.read(lambda c: erasing.in_use(c, image_id, job_id)):
            return False
        if RESULT_ID.fullmatch(image_id) is None:
            await self._files.erase(image_id, written_before)
            return True
        record = await self._results.metadata(image_id)
        if record is not None and (key := record.get("content_key")) is not None:
            await self._forget(key)
        await self._results.erase(image_id)
        return True
