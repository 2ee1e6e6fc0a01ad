"""The ingress: HTTP in front of the routers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray import serve

from serve_app.config import ServiceConfig
from serve_app.deployments.jobs import JobsClient, WorkflowsClient
from serve_app.deployments.logs import log_with_serve
from serve_app.deployments.metrics import EditMetrics, LoadMetrics, RequestMetrics
from serve_app.deployments.monitor import MonitorClient
from serve_app.deployments.router_client import RouterClient
from serve_app.deployments.validator_client import ValidatorClient

if TYPE_CHECKING:
    from fastapi import FastAPI


@serve.deployment(name="Ingress")
@serve.ingress()
class Ingress:
    """Decodes and checks what comes in, so that only good requests reach a router."""

    def __init__(
        self, config: ServiceConfig, router: Any, validator: Any, jobs: Any, monitor: Any
    ) -> None:
        from serve_app.images.decode_pool import DecodePool
        from serve_app.monitoring.edit_log import EditLog
        from serve_app.monitoring.observing import EditObservers
        from serve_app.monitoring.reporter import Reporter
        from serve_app.storage.blobs import BlobStore
        from serve_app.workflows.gateway import EditGateway

        log_with_serve()
        self._config = config
        self._blobs = BlobStore(config.storage.root)
        self._decoder = DecodePool(config.limits)
        self._jobs = JobsClient(jobs)
        self._workflows = WorkflowsClient(jobs)
        self._monitor = MonitorClient(monitor, config.monitor)
        self._reporter = Reporter(self._monitor, config.monitor, on_load=LoadMetrics())
        metrics = EditMetrics()
        self._gateway = EditGateway(
            RouterClient(router),
            ValidatorClient(validator),
            config,
            EditObservers(self._reporter, metrics, EditLog()),
            metrics.looked,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve in the replica, after the constructor."""
        from serve_app.api.app import create_app
        from serve_app.storage.files import FileStore
        from serve_app.storage.results import ResultStore

        return create_app(
            self._gateway,
            self._jobs,
            workflows=self._workflows,
            monitor=self._monitor,
            reporter=self._reporter,
            counters=[RequestMetrics()],
            files=FileStore(self._blobs),
            results=ResultStore(self._blobs),
            decoder=self._decoder,
            config=self._config,
            request_id_in_headers=False,  # Serve's proxy adds the header itself
        )

    async def __del__(self) -> None:
        if reporter := getattr(self, "_reporter", None):
            await reporter.close()
        if decoder := getattr(self, "_decoder", None):
            decoder.close()
