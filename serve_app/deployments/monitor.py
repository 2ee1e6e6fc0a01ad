"""The monitor: one replica that all others report to; nothing else needs it."""

from __future__ import annotations

import asyncio
from typing import Any

from ray import serve

from serve_app.config import MonitorConfig, ServiceConfig
from serve_app.deployments.calls import call
from serve_app.deployments.logs import log_with_serve
from serve_app.errors import NotReady
from serve_app.monitoring.reporter import Report


@serve.deployment(name="Monitor")
class Monitor:
    """Samples the machine it is on and puts reports together. Losing it loses the last hour."""

    # Async, so that it runs on the event loop that reports come in on.
    async def __init__(self, config: ServiceConfig) -> None:  # type: ignore[misc]
        from serve_app.monitoring.gpus import GpuReader
        from serve_app.monitoring.machine import Machine
        from serve_app.monitoring.monitor import ServiceMonitor

        log_with_serve()
        # How Ray names the processes of an application's replicas.
        replicas = f"ray::ServeReplica:{serve.get_replica_context().app_name}:"
        self._monitor = ServiceMonitor(config.monitor, Machine(GpuReader(), replicas))
        self._monitor.start()

    async def record(self, report: Report) -> None:
        await self._monitor.record(report)

    async def summary(self) -> dict[str, Any]:
        return await self._monitor.summary()

    async def __del__(self) -> None:
        if monitor := getattr(self, "_monitor", None):
            await monitor.close()


class MonitorClient:
    """The monitor behind a Serve handle, as the reporters' ``Collector`` and the API's ``Monitor``.

    While there is none, calls would wait for one: whoever reports limits its own time.
    """

    def __init__(self, handle: Any, config: MonitorConfig) -> None:
        self._handle = handle
        self._answer_s = config.answer_s

    async def record(self, report: Report) -> None:
        await call("monitor", self._handle.record.remote(report))

    async def summary(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._answer_s):
                return await call("monitor", self._handle.summary.remote())
        except TimeoutError as error:
            raise NotReady("The monitor does not answer. Ask again later.", None, 5.0) from error
