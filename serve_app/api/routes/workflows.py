"""``/v1/workflows``: jobs with parameters, saved by name and version, and run."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.api import workflow_documentation as documentation
from serve_app.api.body import read_json, read_json_with_files, unique
from serve_app.api.context import Context
from serve_app.api.disconnect import until_disconnect
from serve_app.api.documentation import ERROR_RESPONSES
from serve_app.api.job_documentation import ACCEPTED_RESPONSES
from serve_app.api.job_submission import accepted, bound, idempotency_key
from serve_app.api.model_fields import parse_model
from serve_app.api.names import NAME
from serve_app.api.workflow_fields import VersionFields
from serve_app.api.workflow_parsing import check_name, parse_run, parse_workflow
from serve_app.errors import NotFound

RUN = "run"
"""The part of a form that holds what a run asks for."""


def router(context: Context) -> APIRouter:
    """Routes for workflows that are run again and again."""
    routes = APIRouter(tags=["workflows"])
    jobs, workflows = context.jobs, context.workflows

    @routes.put(
        "/v1/workflows/{name}",
        status_code=201,
        summary="Save the next version of a workflow",
        openapi_extra=documentation.workflow_body(context.limits),
        responses=documentation.SAVED_RESPONSES,
    )
    async def put_workflow(name: str, request: Request) -> Response:
        check_name(name)
        document = parse_workflow(await read_json(request), context)
        stored, new = await workflows.put(name, document)
        return JSONResponse(stored.to_json(), 201 if new else 200)

    @routes.get(
        "/v1/workflows",
        summary="All saved workflows, by name",
        responses=documentation.LIST_RESPONSES,
    )
    async def list_workflows() -> dict[str, Any]:
        overviews = await workflows.overviews()
        return {"object": "list", "data": [overview.to_json() for overview in overviews]}

    @routes.get(
        "/v1/workflows/{name}",
        summary="A saved workflow, the latest version or another one",
        openapi_extra=documentation.version_parameter(context.limits),
        responses=documentation.WORKFLOW_RESPONSES,
    )
    async def get_workflow(name: str, request: Request) -> dict[str, Any]:
        given = unique(request.query_params.multi_items())
        version = parse_model(VersionFields, given, context.limits, typed=False).version
        return (await workflows.get(_known(name), version)).to_json()

    @routes.delete(
        "/v1/workflows/{name}",
        status_code=204,
        summary="Erase all versions of a workflow; jobs that it began stay",
        response_class=Response,
        responses=ERROR_RESPONSES,
    )
    async def delete_workflow(name: str) -> Response:
        await workflows.erase(_known(name))
        return Response(status_code=204)

    @routes.post(
        "/v1/workflows/{name}/run",
        status_code=202,
        summary="Accept a job made by a saved workflow",
        openapi_extra=documentation.run_body(context.limits),
        responses=ACCEPTED_RESPONSES,
    )
    async def run_workflow(name: str, request: Request) -> Response:
        values, files = await read_json_with_files(request, RUN)
        key = idempotency_key(request)
        run = parse_run(values, files, context)
        stored = await workflows.get(_known(name), run.version)
        parsed = run.job(stored.document, context)
        # Whoever has sent all of it means it: it is accepted even if nobody waits for the answer.
        plan = await until_disconnect(request.receive, parsed.stored(context))
        return accepted(await jobs.submit(plan, bound(key, plan.to_json())))

    return routes


def _known(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise NotFound("There is no workflow of this name.", "name")
    return name
