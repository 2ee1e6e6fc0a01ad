"""``GET /v1/monitor``: how the service is doing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from serve_app.api.context import Context
from serve_app.api.monitor_documentation import MONITOR_RESPONSES


def router(context: Context) -> APIRouter:
    """The route that sums up the last hour; no editor is needed for it."""
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/v1/monitor",
        summary="Load, errors, verdicts and times of the last hour",
        responses=MONITOR_RESPONSES,
    )
    async def monitor() -> dict[str, Any]:
        return await context.monitor.summary()

    return routes
