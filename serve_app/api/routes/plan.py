"""``POST /v1/plan``: from a brief in plain words to a job, which is proposed and not run."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from serve_app.api import plan_documentation as documentation
from serve_app.api.body import read_json
from serve_app.api.context import Context
from serve_app.api.disconnect import until_disconnect
from serve_app.api.plan_parsing import check_usable, parse_plan
from serve_app.workflows.assistant.assistant import plan


def router(context: Context) -> APIRouter:
    """The route that plans; it needs no editor, but asks the model of one that answers."""
    routes = APIRouter(tags=["planning"])

    @routes.post(
        "/v1/plan",
        summary="Propose a job for a brief; nothing is run",
        openapi_extra=documentation.plan_body(context.limits),
        responses=documentation.PLAN_RESPONSES,
    )
    async def plan_job(request: Request) -> dict[str, Any]:
        brief = await parse_plan(await read_json(request), context)
        proposal = await until_disconnect(request.receive, plan(brief, context.service.ask))
        check_usable(proposal, context)
        return proposal.to_json()

    return routes
