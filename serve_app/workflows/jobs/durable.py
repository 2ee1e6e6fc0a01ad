"""Runs that outlive the process, on DBOS: the one module that knows it.

DBOS keeps in the same database which runs there are, where they wait, and which of their steps
have ended; after a death it starts again those that were going on. A process has one DBOS.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from dbos import (
    DBOS,
    DBOSClient,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    StepReservation,
)
from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

RunJob = Callable[[str, int], Coroutine[Any, Any, None]]
"""Takes a job's id and the number of its run."""

Notify = Callable[[str, int], Coroutine[Any, Any, None]]
"""Delivers the webhook of a job's run."""

_APPLICATION = "qwen-edit-jobs"
_JOBS = "jobs"
_WEBHOOKS = "webhooks"
_WEBHOOKS_AT_ONCE = 1000  # most of them in a pause
_WEBHOOKS_POLL_S = 0.5
"""Looking into a queue costs 6 ms of a core, and nobody waits for a webhook as for a job."""

_NOTIFICATIONS_POLL_S = 0.05

_AT_ONCE = 500
_GOING_ON = ("ENQUEUED", "DELAYED", "PENDING")
_RECOVERIES = 1_000_000
"""Deaths that a run may live through: an accepted job is never given up."""


class DurableRuns:
    """Queues of runs, and whoever takes them from there; ``launch`` makes this process run them.

    ``jobs`` and ``jobs_per_user`` bound how many run at once. ``poll_s`` is how often the queues
    are looked at, seconds.
    """

    def __init__(self, url: str, *, jobs: int, jobs_per_user: int, poll_s: float) -> None:
        self._url = url
        self._jobs = jobs
        self._jobs_per_user = min(jobs, jobs_per_user)
        self._poll_s = poll_s
        self._closing = False
        self._run_job: Any = None
        self._notify: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def launch(self, run_job: RunJob, notify: Notify) -> None:
        """Take up whatever is queued or was interrupted, on the running event loop."""
        # Before anybody looks into the queues: they keep the limits of the launch before.
        await asyncio.to_thread(self._register_queues)
        DBOS(
            config={
                "name": _APPLICATION,
                "system_database_url": self._url,
                "serializer": DBOSPortableJSONSerializer(),
                # Both name who may take up what was interrupted: whoever runs this service.
                "executor_id": "jobs",
                "application_version": "1",
                "log_level": "WARNING",
                "use_listen_notify": False,
                # No run waits for a notification, but closing waits for the next look for them.
                "notification_listener_polling_interval_sec": _NOTIFICATIONS_POLL_S,
            }
        )
        self._run_job = self._registered("job", run_job)
        self._notify = self._registered("webhook", notify)
        DBOS.launch()

    def _register_queues(self) -> None:
        DBOS.migrate(self._url)
        client = DBOSClient(system_database_url=self._url, application_name=_APPLICATION)
        try:
            client.register_queue(
                _JOBS,
                global_concurrency=self._jobs,
                partition_concurrency=self._jobs_per_user,
                polling_interval_sec=self._poll_s,
            )
            client.register_queue(
                _WEBHOOKS,
                global_concurrency=_WEBHOOKS_AT_ONCE,
                polling_interval_sec=_WEBHOOKS_POLL_S,
            )
        finally:
            client.destroy()

    async def enqueue(self, job_id: str, run: int, user: str | None, priority: int) -> None:
        """Queue a run once, however often this is called.

        ``priority`` is 0 to 9, and counts among the jobs of one ``user``: users take turns.
        """
        options = SetEnqueueOptions(
            # DBOS's first is 1.
            priority=10 - priority,
            queue_partition_key=f"user:{user or ''}",
        )
        with SetWorkflowID(_run_id(job_id, run)), options:
            await DBOS.enqueue_workflow_async(_JOBS, self._run_job, job_id, run)

    async def known(self, runs: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Those of ``runs`` (job and number) that were ever queued, and whether they have ended."""
        found: dict[tuple[str, int], bool] = {}
        for start in range(0, len(runs), _AT_ONCE):
            ids = {_run_id(*run): run for run in runs[start : start + _AT_ONCE]}
            statuses = await DBOS.list_workflows_async(
                workflow_ids=list(ids), load_input=False, load_output=False
            )
            found |= {ids[one.workflow_id]: one.status not in _GOING_ON for one in statuses}
        return found

    async def enqueue_webhook(self, job_id: str, run: int) -> None:
        """Queue the delivery of a run's webhook, unless one is queued or going on."""
        for number in itertools.count(1):
            name = f"{_run_id(job_id, run)}.webhook.{number}"
            status = await DBOS.get_workflow_status_async(name)
            if status is None:
                with SetWorkflowID(name):
                    await DBOS.enqueue_workflow_async(_WEBHOOKS, self._notify, job_id, run)
                return
            if status.status in _GOING_ON:
                return

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, one of the above, without waiting for it, also from within a run.

        Of such a run it is no step, for it is done apart from it.
        """
        self._spawned(_without_fuss(work), contextvars.Context())

    async def forget(self, job_id: str) -> None:
        """Erase all that is known of a job's runs."""
        runs = await DBOS.list_workflows_async(
            workflow_id_prefix=f"{job_id}.", load_input=False, load_output=False
        )
        await DBOS.delete_workflows_async([run.workflow_id for run in runs])

    async def close(self) -> None:
        """Stop; runs that are going on are left as they are to whoever launches next."""
        self._closing = True  # its queues are looked at until it is destroyed
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        # DBOS had put its own in place and shuts it down, whatever others would do in it.
        loop.set_default_executor(ThreadPoolExecutor())
        with ThreadPoolExecutor(1) as apart:
            await loop.run_in_executor(apart, partial(DBOS.destroy, destroy_registry=True))
        # A run that it began meanwhile has put its own there once more.
        loop.set_default_executor(ThreadPoolExecutor())

    def _registered(self, name: str, function: Callable[..., Coroutine[Any, Any, None]]) -> Any:
        """``function`` as a workflow of DBOS, in tasks of this loop that can be stopped.

        DBOS records what a workflow returns and raises, but not that it was cancelled. It has a
        loop of its own, which it takes whenever this one is not running.
        """

        loop = asyncio.get_running_loop()

        async def here(*arguments: Any) -> None:
            await self._spawned(function(*arguments))

        async def run(*arguments: Any) -> None:
            if self._closing:
                raise asyncio.CancelledError  # left as it is, like those that are going on
            if asyncio.get_running_loop() is loop:
                await here(*arguments)
            else:
                there = asyncio.run_coroutine_threadsafe(here(*arguments), loop)
                await asyncio.wrap_future(there)

        return DBOS.workflow(name=name, max_recovery_attempts=_RECOVERIES)(run)

    def _spawned(
        self, work: Coroutine[Any, Any, None], context: contextvars.Context | None = None
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


Step = Callable[[], Awaitable[None]]
"""Something that a run does once; what comes of it is kept elsewhere."""


async def once(name: str, step: Step) -> None:
    """Do ``step`` within a run, unless it had ended before a death."""
    await DBOS.run_step_async({"name": name}, _plain(step))


async def all_once(steps: Sequence[tuple[str, Step]], at_once: int) -> None:
    """Do all the named ``steps`` within a run, ``at_once`` of them at a time.

    They are numbered before any begins, so that after a death each is known by its number. What
    the first one raises is raised, and stops the others.
    """
    places = asyncio.Semaphore(at_once)

    async def do(place: StepReservation, name: str, step: Step) -> None:
        async with places:
            await place.run_async({"name": name}, _plain(step))

    reserved = [(DBOS.reserve_step(), name, step) for name, step in steps]
    try:
        async with asyncio.TaskGroup() as group:
            for each in reserved:
                group.create_task(do(*each))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def pause(seconds: float) -> None:
    """Wait within a run; a death in between does not make it longer."""
    await DBOS.sleep_async(seconds)


async def _without_fuss(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except SQLAlchemyError as error:
        logger.warning("a run is queued later: %s", type(error).__name__)


def _run_id(job_id: str, run: int) -> str:
    return f"{job_id}.{run}"


def _plain(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """``function`` as a coroutine function, which is what DBOS looks for."""

    async def called(*arguments: Any) -> Any:
        return await function(*arguments)

    return called
