"""What is erased: jobs on request, and everything after its time."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from serve_app.storage.files import FileStore
from serve_app.storage.results import RESULT_ID, ResultStore
from serve_app.workflows.jobs import erasing, idempotency
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.database import Database

logger = logging.getLogger(__name__)

_AT_ONCE = 500

Forget = Callable[[str], Awaitable[None]]
"""Takes a content key whose cached result must not be used again."""


class Keeper:
    """Erases jobs and images that nothing else uses, also from the cache."""

    def __init__(
        self, database: Database, files: FileStore, results: ResultStore, forget: Forget
    ) -> None:
        self._database = database
        self._files = files
        self._results = results
        self._forget = forget

    async def erase_job(self, job_id: str) -> None:
        """Erase a job and all images that no other job uses.

        The images go last: a death in between leaves some for ``erase_images_before``.
        """
        unused = await self._database.transact(lambda c: erasing.erase(c, job_id))
        for image_id in unused:
            await self._erase_image(image_id)

    async def erase_images_before(self, moment: float) -> int:
        """Erase files and results from before ``moment`` that no job uses; return how many."""
        await self._database.transact(idempotency.forget_old)
        old = [*await self._files.ids_before(moment), *await self._results.ids_before(moment)]
        erased = 0
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]
            used = await self._database.read(partial(erasing.in_use, image_ids=some))
            for image_id in some:
                if image_id not in used:
                    await self._erase_image(image_id)
                    erased += 1
        return erased

    async def _erase_image(self, image_id: str) -> None:
        if RESULT_ID.fullmatch(image_id) is None:
            await self._files.erase(image_id)
            return
        record = await self._results.metadata(image_id)
        await self._results.erase(image_id)
        if record is not None:
            await self._forget(record["content_key"])


async def erase_ended(
    catalogue: Catalogue, keep_s: float, erase: Callable[[str], Awaitable[None]]
) -> int:
    """``erase`` the jobs that ended more than ``keep_s`` seconds ago; return how many."""
    erased = 0
    while ids := await catalogue.finished_before(time.time() - keep_s, _AT_ONCE):
        for job_id in ids:
            await erase(job_id)
        erased += len(ids)
    return erased
