"""What a run of a job does, by its kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from serve_app.errors import EditServiceError
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.chain import ChainRunner
from serve_app.workflows.jobs.durable import once
from serve_app.workflows.jobs.ending import Ending
from serve_app.workflows.jobs.feed import Feed
from serve_app.workflows.jobs.independent import IndependentRunner
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job, JobState, error_record
from serve_app.workflows.jobs.plan import JobKind
from serve_app.workflows.jobs.presenting import Presenter

logger = logging.getLogger(__name__)


class Conductor:
    """Takes a run of a job from its beginning to its end. ``ended`` is told of the end.

    After a death the run begins again from its first line. Steps that have ended are not run
    again, so that the same decisions are taken in the same order.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        chains: ChainRunner,
        independent: IndependentRunner,
        presenter: Presenter,
        feed: Feed,
        ended: Callable[[Job], None],
    ) -> None:
        self._catalogue = catalogue
        self._chains = chains
        self._independent = independent
        self._presenter = presenter
        self._feed = feed
        self._ended = ended

    async def conduct(self, job_id: str, run: int) -> None:
        """Run the job ``job_id`` to its end, unless it was cancelled or ``run`` is not its last."""
        job = await insist(lambda: self._catalogue.start(job_id, run))
        if job is None:
            return
        self._feed.stir(job_id)
        runner = self._chains if job.kind is JobKind.CHAIN else self._independent
        try:
            ending = await runner.run(job)
            if ending is not None and job.kind is not JobKind.EDIT:
                await once("outputs", partial(self._present, job_id, run))
        except Exception:
            # A mistake of ours: the user gets an end to it, the log gets the rest.
            error = error_record(EditServiceError("An unexpected error occurred in this job."))
            await self._end(job, Ending(JobState.FAILED, error=error))
            raise
        if ending is not None:
            await self._end(job, ending)

    async def _present(self, job_id: str, run: int) -> None:
        try:
            await self._presenter.present(job_id, run)
        except Exception as error:  # the results are there, whatever their sheet failed with
            logger.exception("%s has no outputs: %s", job_id, type(error).__name__)

    async def _end(self, job: Job, ending: Ending) -> None:
        await insist(
            lambda: self._catalogue.finish(
                job.id, job.run, ending.state, ending.result, ending.error
            )
        )
        self._feed.stir(job.id)
        self._ended(job)
