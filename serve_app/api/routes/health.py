"""``/health``: this process is alive. ``/ready``: a warm editor answers."""

from __future__ import annotations

from fastapi import APIRouter

from serve_app.api import documentation
from serve_app.api.context import Context
from serve_app.errors import NotReady

_RETRY_AFTER_S = 5.0


def router(context: Context) -> APIRouter:
    """Routes for load balancers and people who look whether it runs."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health", summary="Whether this process is alive")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get(
        "/ready",
        summary="Whether an edit would run now",
        responses=documentation.ERROR_RESPONSES,
    )
    async def ready() -> dict[str, str]:
        if not await context.service.ready():
            raise NotReady("No editor is warm yet.", None, _RETRY_AFTER_S)
        return {"status": "ready"}

    return routes
