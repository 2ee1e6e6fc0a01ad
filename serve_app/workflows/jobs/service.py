"""Jobs as the outside sees them: accepted, read, watched, steered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from serve_app.config import ServiceConfig
from serve_app.errors import NotFound, NotReady, WrongState
from serve_app.monitoring.reporter import JobBacklog
from serve_app.storage.blobs import BlobStore
from serve_app.storage.files import FileStore
from serve_app.storage.results import ResultStore
from serve_app.workflows.jobs.again import Fork, forked, to_do_again
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.chain import ChainRunner
from serve_app.workflows.jobs.conductor import Conductor
from serve_app.workflows.jobs.database import Database, database_url
from serve_app.workflows.jobs.durable import DurableRuns
from serve_app.workflows.jobs.events import JobEvent
from serve_app.workflows.jobs.feed import Feed, Watcher
from serve_app.workflows.jobs.idempotency import IdempotencyKey
from serve_app.workflows.jobs.independent import IndependentRunner
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.job import Job, JobState, Overview, error_record
from serve_app.workflows.jobs.keeping import Forget, Keeper
from serve_app.workflows.jobs.listing import JobPage, JobQuery
from serve_app.workflows.jobs.outputs import JobOutputs
from serve_app.workflows.jobs.plan import JobPlan
from serve_app.workflows.jobs.presenting import Presenter
from serve_app.workflows.jobs.sole_runner import SoleRunner
from serve_app.workflows.jobs.step import Edits, StepRunner, deadline_passed
from serve_app.workflows.jobs.webhook import WebhookSender
from serve_app.workflows.saved.shelf import Shelf

logger = logging.getLogger(__name__)

_LOOK_S = 2.0
_LOOK_SELDOM_S = 30.0
"""How often a watcher looks by itself for kept events: another process may write them."""

_SWEEP_S = 3600.0
_SOON_S = 60.0
"""What failed is done again after so long at most."""


class JobService:
    """All of it, put together; ``start`` begins to run jobs, ``close`` leaves them to the next.

    ``workflows`` are what jobs may be made of, in the same database.

    Methods raise ``NotFound`` for an unknown job, and ``NotReady`` where the database does not
    answer.
    """

    def __init__(self, config: ServiceConfig, edits: Edits, forget: Forget) -> None:
        self._jobs = config.jobs
        self._keep_images_s = config.storage.keep_s
        url = database_url(config.jobs.database, config.storage.folder)
        blobs = BlobStore(config.storage.root)
        self._files, results = FileStore(blobs), ResultStore(blobs)
        self._database = Database(url)
        self._catalogue = Catalogue(self._database)
        self.workflows = Shelf(self._database, config.jobs.workflows.max_stored)
        self._keeper = Keeper(self._database, self._files, results, forget)
        self._feed = Feed()
        inputs = Inputs(self._files, results, config.limits)
        self._steps = StepRunner(self._catalogue, inputs, edits, self._feed, config.jobs)
        self._conductor = Conductor(
            self._catalogue,
            ChainRunner(
                self._catalogue,
                self._steps,
                inputs,
                results,
                edits,
                config.quality,
                config.jobs.patience_s,
            ),
            IndependentRunner(self._catalogue, self._steps, inputs, self._files, config.brand),
            Presenter(self._catalogue, inputs, self._files),
            self._feed,
            self._on_end,
        )
        self._sender = WebhookSender(self._catalogue, config.jobs.webhooks, self._feed.stir)
        self._runs = DurableRuns(
            url,
            jobs=config.jobs.running,
            jobs_per_user=config.jobs.running_per_user,
            poll_s=config.jobs.poll_s,
        )
        self._place = SoleRunner(url)
        self._launched = asyncio.Event()
        self._decided = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble: BaseException | None = None

    # The life of the service.

    def start(self) -> None:
        """Begin to run jobs as soon as no other process does; needs the running event loop."""
        self._spawn(self._run())

    async def launched(self) -> None:
        """Return once this process runs the jobs; raises ``NotReady`` if it never will."""
        await self._decided.wait()
        if self._trouble is not None:
            raise NotReady("The jobs have stopped.") from self._trouble

    async def check(self) -> None:
        """Raise ``NotReady`` if this process can't run jobs any more, or is not the only one."""
        if self._trouble is not None:
            raise NotReady("The jobs have stopped.") from self._trouble
        if self._launched.is_set():
            try:
                await self._place.check()
            except NotReady as error:
                # The next process may have the place already: this one must do nothing more.
                self._trouble = error
                await self._runs.close()
                raise

    async def close(self) -> None:
        """Stop; jobs that are running go on wherever the service is started next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._launched.is_set():
            await self._runs.close()
        self._place.release()
        self._database.close()

    async def _run(self) -> None:
        await self._place.wait()
        await self._runs.launch(self._conductor.conduct, self._sender.notify)
        self._launched.set()
        self._decided.set()
        self._spawn(self._regularly(self._jobs.watch_s, self._watch))
        await self._regularly(_SWEEP_S, self._sweep)

    async def _watch(self) -> None:
        """See to it that every unfinished job has a run, and every end is told."""
        unfinished = await self._catalogue.unfinished()
        known = await self._runs.known([(job.id, job.run) for job in unfinished])
        for job in unfinished:
            if job.state is JobState.QUEUED and (job.left_s or 0.0) < 0.0:
                await self._give_up(job)
                continue
            match known.get((job.id, job.run)):
                case None:
                    await self._runs.enqueue(job.id, job.run, job.user, job.priority)
                case True:
                    run = await self._catalogue.run_again(job.id, job.run)
                    logger.warning("%s had lost its run and gets another one", job.id)
                    await self._runs.enqueue(job.id, run, job.user, job.priority)
        for job in await self._catalogue.untold():
            await self._runs.enqueue_webhook(job.id, job.run)

    async def _give_up(self, job: Overview) -> None:
        """End a job whose deadline has passed in the queue."""
        error = error_record(deadline_passed())
        if await self._catalogue.finish(job.id, job.run, JobState.FAILED, error=error):
            self._feed.stir(job.id)
            self._on_end(job)

    async def _sweep(self) -> None:
        ended_before = time.time() - self._jobs.keep_s
        erased = 0
        for job_id in await self._catalogue.finished_before(ended_before):
            with suppress(NotFound):
                erased += await self._erase(job_id, ended_before)
        if self._keep_images_s is not None:
            erased += await self._keeper.erase_images_before(time.time() - self._keep_images_s)
        if erased:
            logger.info("%d jobs and images were erased after their time", erased)

    @staticmethod
    async def _regularly(pause_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            wait_s = pause_s
            try:
                await work()
            except Exception as error:  # noqa: BLE001 whatever it is, it must not end the jobs
                logger.warning("%s is left for later: %s", work.__name__, type(error).__name__)
                wait_s = min(pause_s, _SOON_S)
            await asyncio.sleep(wait_s)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the jobs stop: %s", type(error).__name__)
            self._trouble = error
            self._decided.set()

    def _on_end(self, job: Overview) -> None:
        if job.webhook is not None and self._launched.is_set():
            self._runs.soon(self._runs.enqueue_webhook(job.id, job.run))

    # What users do.

    async def submit(self, plan: JobPlan, key: IdempotencyKey | None = None) -> Job:
        """Accept a job; with a known ``key`` it is the job that was accepted before.

        Raises ``IdempotencyKeyReused`` if the key was given with another request, and
        ``Overloaded`` where too many jobs are queued.
        """
        return await self._accept(Job.accepted(plan), key)

    async def get(self, job_id: str) -> Job:
        """A job with all of its steps."""
        return await self._catalogue.job(job_id)

    async def page(self, query: JobQuery) -> JobPage:
        """A page of the list of jobs."""
        return await self._catalogue.page(query)

    async def backlog(self) -> JobBacklog:
        """How many jobs are queued and running."""
        counted = await self._catalogue.unfinished_by_state()
        return JobBacklog(counted.get(JobState.QUEUED, 0), counted.get(JobState.RUNNING, 0))

    async def events(self, job_id: str, last_id: int) -> AsyncGenerator[JobEvent, None]:
        """What happened to a job after the kept event ``last_id``, and what happens, to its end.

        It also ends when the job is erased.
        """
        with self._feed.watching(job_id) as watcher:
            over = (await self._catalogue.overview(job_id)).state.final
            while True:
                while kept := await self._catalogue.events_after(job_id, last_id):
                    for event in kept:
                        yield event
                        last_id = event.id or last_id
                        over = event.last if event.name == "state" else over
                if over or not await self._catalogue.has(job_id):
                    return
                while (live := await self._next(watcher)) is not None:
                    yield live

    async def _next(self, watcher: Watcher) -> JobEvent | None:
        """The next live event; ``None`` when it is time to look for kept ones."""
        look_s = _LOOK_SELDOM_S if self._launched.is_set() else _LOOK_S
        with suppress(TimeoutError):
            async with asyncio.timeout(look_s):
                return await watcher.get()
        return None

    async def cancel(self, job_id: str) -> Job:
        """End a job; a running edit stops at its next denoising step. Raises ``WrongState``."""
        # Half of it would be a cancelled job whose edit goes on.
        return await asyncio.shield(asyncio.create_task(self._cancel(job_id)))

    async def _cancel(self, job_id: str) -> Job:
        job = await self._catalogue.cancel(job_id)
        self._steps.cancel(job_id)
        # Its run, where it waits or goes on, finds that it is not wanted any more.
        self._feed.stir(job_id)
        self._on_end(job)
        return job

    async def retry(self, job_id: str) -> Job:
        """Run an ended job again from the step that failed; raises ``WrongState``.

        A rejected step is tried with another derived seed.
        """
        job = await self._catalogue.restart(job_id, to_do_again)
        self._enqueue_soon(job)
        return job

    async def fork(self, job_id: str, fork: Fork, key: IdempotencyKey | None = None) -> Job:
        """A new job that takes over the ended steps before ``fork.from_step`` and runs the rest.

        Raises ``InvalidRequest`` if there is no such step, or one before it has not ended.
        """
        return await self._accept(forked(await self._catalogue.job(job_id), fork), key)

    async def outputs(self, job_id: str) -> JobOutputs:
        """What a job has made of its results; raises ``NotFound`` before its end."""
        return await self._catalogue.outputs(job_id)

    async def keep_analysis(self, job_id: str, analysis: dict[str, Any]) -> None:
        """Keep an analysis of a test with the variants that it is about.

        Raises ``InvalidRequest`` if ``analysis["variants"]`` are not the job's.
        """
        await self._catalogue.add_analysis(job_id, analysis)

    async def analyses(self, job_id: str) -> list[dict[str, Any]]:
        """All analyses that were kept with a job, the oldest first."""
        return await self._catalogue.analyses(job_id)

    async def delete(self, job_id: str) -> None:
        """Erase a job with its inputs and results, unless another job uses them; end it first.

        Raises ``WrongState`` if it was retried in the middle of that.
        """
        if not (await self._catalogue.overview(job_id)).state.final:
            with suppress(WrongState):  # it has ended by itself
                await self.cancel(job_id)
        if not await asyncio.shield(asyncio.create_task(self._erase(job_id))):
            raise WrongState("The job was started again meanwhile.")

    async def _accept(self, job: Job, key: IdempotencyKey | None) -> Job:
        accepted_id = await self._catalogue.add(job, self._jobs.queued, key)
        if accepted_id != job.id:
            return await self._catalogue.job(accepted_id)
        await self._require_inputs(job)
        self._enqueue_soon(job)
        return job

    async def _require_inputs(self, job: Job) -> None:
        """Raise ``NotFound`` if an input went with another job before this one referred to it."""
        for file_id in job.plan.inputs:
            if not await self._files.has(file_id):
                await self._catalogue.cancel(job.id)
                await self._erase(job.id)
                raise NotFound("An image of this job was erased meanwhile. Send it again.", "image")

    def _enqueue_soon(self, job: Job) -> None:
        """Queue a run of a job that is in the catalogue: it will be run even if this fails.

        Where another process still runs the jobs, or the database was away, ``_watch`` does it.
        """
        self._feed.stir(job.id)
        if self._launched.is_set():
            self._runs.soon(self._runs.enqueue(job.id, job.run, job.user, job.priority))

    async def _erase(self, job_id: str, ended_before: float | None = None) -> bool:
        if self._launched.is_set():
            await self._runs.forget(job_id)
        erased = await self._keeper.erase_job(job_id, ended_before)
        self._feed.stir(job_id)
        return erased
