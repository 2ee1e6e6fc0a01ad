"""The jobs: one replica that runs durable jobs over the routers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.calls import call, iterate
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.metrics import EditMetrics, JobMetrics, LoadMetrics
from serve_app.deployments.monitor import MonitorClient
from serve_app.deployments.router_client import RouterClient
from serve_app.deployments.validator_client import ValidatorClient
from serve_app.monitoring.reporter import JobBacklog
from serve_app.workflows.jobs.again import Fork
from serve_app.workflows.jobs.events import JobEvent
from serve_app.workflows.jobs.idempotency import IdempotencyKey
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.listing import JobPage, JobQuery
from serve_app.workflows.jobs.outputs import JobOutputs
from serve_app.workflows.jobs.plan import JobPlan
from serve_app.workflows.saved.document import WorkflowDocument
from serve_app.workflows.saved.stored import StoredWorkflow, WorkflowOverview


@serve.deployment(name="Jobs")
class Jobs:
    """Losing it loses nothing: the next one goes on with every job at its last ended step."""

    # Async, so that it runs on the event loop that the jobs will run on.
    async def __init__(  # type: ignore[misc]
        self, config: ServiceConfig, router: Any, validator: Any, monitor: Any
    ) -> None:
        from serve_app.monitoring.edit_log import EditLog
        from serve_app.monitoring.observing import EditObservers
        from serve_app.monitoring.reporter import Reporter
        from serve_app.workflows.gateway import EditGateway
        from serve_app.workflows.jobs.service import JobService

        log_with_serve()
        client = MonitorClient(monitor, config.monitor)
        self._reporter = Reporter(client, config.monitor, self._backlog, LoadMetrics())
        metrics = EditMetrics()
        gateway = EditGateway(
            RouterClient(router),
            ValidatorClient(validator),
            config,
            EditObservers(self._reporter, metrics, EditLog()),
            metrics.looked,
        )
        self._metrics = JobMetrics()
        self._service = JobService(config, gateway, gateway.forget)
        self._service.start()
        self._reporter.start()

    async def submit(self, plan: JobPlan, key: IdempotencyKey | None) -> Job:
        return await self._service.submit(plan, key)

    async def get(self, job_id: str) -> Job:
        return await self._service.get(job_id)

    async def page(self, query: JobQuery) -> JobPage:
        return await self._service.page(query)

    async def events(self, job_id: str, last_id: int) -> AsyncGenerator[JobEvent, None]:
        async with aclosing(self._service.events(job_id, last_id)) as events:
            async for event in events:
                yield event

    async def cancel(self, job_id: str) -> Job:
        return await self._service.cancel(job_id)

    async def retry(self, job_id: str) -> Job:
        return await self._service.retry(job_id)

    async def fork(self, job_id: str, fork: Fork, key: IdempotencyKey | None) -> Job:
        return await self._service.fork(job_id, fork, key)

    async def delete(self, job_id: str) -> None:
        await self._service.delete(job_id)

    async def put_workflow(
        self, name: str, document: WorkflowDocument
    ) -> tuple[StoredWorkflow, bool]:
        return await self._service.workflows.put(name, document)

    async def workflow(self, name: str, version: int | None) -> StoredWorkflow:
        return await self._service.workflows.get(name, version)

    async def workflows(self) -> list[WorkflowOverview]:
        return await self._service.workflows.overviews()

    async def erase_workflow(self, name: str) -> None:
        await self._service.workflows.erase(name)

    async def outputs(self, job_id: str) -> JobOutputs:
        return await self._service.outputs(job_id)

    async def keep_analysis(self, job_id: str, analysis: dict[str, Any]) -> None:
        await self._service.keep_analysis(job_id, analysis)

    async def analyses(self, job_id: str) -> list[dict[str, Any]]:
        return await self._service.analyses(job_id)

    async def check_health(self) -> None:
        """Called by Serve: a replica that can't run jobs any more is replaced."""
        await self._service.check()

    async def _backlog(self) -> JobBacklog:
        backlog = await self._service.backlog()
        self._metrics.show(backlog)
        return backlog

    async def __del__(self) -> None:
        if reporter := getattr(self, "_reporter", None):
            await reporter.close()
        if service := getattr(self, "_service", None):
            await service.close()


class JobsClient:
    """The jobs behind a Serve handle, as the routes' ``Jobs``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._streaming = handle.options(stream=True)

    async def submit(self, plan: JobPlan, key: IdempotencyKey | None) -> Job:
        return await call("jobs", self._handle.submit.remote(plan, key))

    async def get(self, job_id: str) -> Job:
        return await call("jobs", self._handle.get.remote(job_id))

    async def page(self, query: JobQuery) -> JobPage:
        return await call("jobs", self._handle.page.remote(query))

    def events(self, job_id: str, last_id: int) -> AsyncGenerator[JobEvent, None]:
        return iterate("jobs", self._streaming.events.remote(job_id, last_id))

    async def cancel(self, job_id: str) -> Job:
        return await call("jobs", self._handle.cancel.remote(job_id))

    async def retry(self, job_id: str) -> Job:
        return await call("jobs", self._handle.retry.remote(job_id))

    async def fork(self, job_id: str, fork: Fork, key: IdempotencyKey | None) -> Job:
        return await call("jobs", self._handle.fork.remote(job_id, fork, key))

    async def delete(self, job_id: str) -> None:
        await call("jobs", self._handle.delete.remote(job_id))

    async def outputs(self, job_id: str) -> JobOutputs:
        return await call("jobs", self._handle.outputs.remote(job_id))

    async def keep_analysis(self, job_id: str, analysis: dict[str, Any]) -> None:
        await call("jobs", self._handle.keep_analysis.remote(job_id, analysis))

    async def analyses(self, job_id: str) -> list[dict[str, Any]]:
        return await call("jobs", self._handle.analyses.remote(job_id))


class WorkflowsClient:
    """The saved workflows, which the jobs keep, as the routes' ``Workflows``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def put(self, name: str, document: WorkflowDocument) -> tuple[StoredWorkflow, bool]:
        return await call("jobs", self._handle.put_workflow.remote(name, document))

    async def get(self, name: str, version: int | None) -> StoredWorkflow:
        return await call("jobs", self._handle.workflow.remote(name, version))

    async def overviews(self) -> list[WorkflowOverview]:
        return await call("jobs", self._handle.workflows.remote())

    async def erase(self, name: str) -> None:
        await call("jobs", self._handle.erase_workflow.remote(name))
