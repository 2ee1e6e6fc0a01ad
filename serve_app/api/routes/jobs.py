"""``/v1/jobs``: durable jobs, accepted, read, watched and steered."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api import job_documentation as documentation
from serve_app.api.body import read_json, read_json_with_files, unique
from serve_app.api.context import Context
from serve_app.api.disconnect import until_disconnect
from serve_app.api.documentation import ERROR_RESPONSES
from serve_app.api.event_stream import EventStream, event
from serve_app.api.job_fields import ListFields
from serve_app.api.job_parsing import parse_fork, parse_job
from serve_app.api.job_submission import accepted, bound, idempotency_key, known_job
from serve_app.api.model_fields import parse_model
from serve_app.api.places import Places
from serve_app.errors import InvalidRequest
from serve_app.workflows.jobs.events import JobEvent
from serve_app.workflows.jobs.listing import JobQuery

SPECIFICATION = "job"
"""The part of a form that holds the specification."""

_EVENT_ID = re.compile(r"[0-9]{1,18}")
_LATER_S = 5.0


def router(context: Context) -> APIRouter:
    """Routes for work that outlives its request."""
    routes = APIRouter(tags=["jobs"])
    jobs = context.jobs
    watchers = Places(
        context.jobs_config.watchers, "Too many jobs are watched. Come back later.", _LATER_S
    )

    @routes.post(
        "/v1/jobs",
        status_code=202,
        summary="Accept a job",
        openapi_extra=documentation.job_body(context.limits),
        responses=documentation.ACCEPTED_RESPONSES,
    )
    async def create_job(request: Request) -> Response:
        values, files = await read_json_with_files(request, SPECIFICATION)
        key = idempotency_key(request)
        parsed = parse_job(values, files, context)
        # Whoever has sent all of it means it: it is accepted even if nobody waits for the answer.
        plan = await until_disconnect(request.receive, parsed.stored(context))
        return accepted(await jobs.submit(plan, bound(key, plan.to_json())))

    @routes.get(
        "/v1/jobs",
        summary="Jobs, the newest first",
        openapi_extra=documentation.list_parameters(context.limits),
        responses=documentation.PAGE_RESPONSES,
    )
    async def list_jobs(request: Request) -> dict[str, Any]:
        given = unique(request.query_params.multi_items())
        page = await jobs.page(_query(parse_model(ListFields, given, context.limits, typed=False)))
        return {
            "object": "list",
            "data": [job.to_json() for job in page.jobs],
            "has_more": page.next_cursor is not None,
            "next_cursor": page.next_cursor,
        }

    @routes.get(
        "/v1/jobs/{job_id}",
        summary="A job with all of its steps",
        responses=documentation.JOB_RESPONSES,
    )
    async def get_job(job_id: str) -> dict[str, Any]:
        return (await jobs.get(known_job(job_id))).to_json()

    @routes.get(
        "/v1/jobs/{job_id}/events",
        summary="What happens to a job, as server-sent events",
        response_class=Response,
        responses=documentation.EVENT_RESPONSES,
    )
    async def watch_job(job_id: str, request: Request) -> Response:
        events = jobs.events(known_job(job_id), _last_event_id(request))
        return EventStream(_encoded(events, watchers))

    @routes.post(
        "/v1/jobs/{job_id}/cancel",
        summary="End a job; a running edit stops at its next denoising step",
        responses=documentation.JOB_RESPONSES,
    )
    async def cancel_job(job_id: str) -> dict[str, Any]:
        return (await jobs.cancel(known_job(job_id))).to_json()

    @routes.post(
        "/v1/jobs/{job_id}/retry",
        status_code=202,
        summary="Run an ended job again from the step that failed",
        responses=documentation.ACCEPTED_RESPONSES,
    )
    async def retry_job(job_id: str) -> Response:
        return accepted(await jobs.retry(known_job(job_id)))

    @routes.post(
        "/v1/jobs/{job_id}/fork",
        status_code=202,
        summary="A new job that takes over the steps before `from_step`",
        openapi_extra=documentation.fork_body(context.limits),
        responses=documentation.ACCEPTED_RESPONSES,
    )
    async def fork_job(job_id: str, request: Request) -> Response:
        values, key = await read_json(request), idempotency_key(request)
        job = await jobs.get(known_job(job_id))
        fork = await parse_fork(values, job, context).stored(context)
        return accepted(await jobs.fork(job.id, fork, bound(key, {"fork": job.id, **values})))

    @routes.delete(
        "/v1/jobs/{job_id}",
        status_code=204,
        summary="Erase a job, and its inputs and results that no other job uses",
        response_class=Response,
        responses=ERROR_RESPONSES,
    )
    async def delete_job(job_id: str) -> Response:
        await jobs.delete(known_job(job_id))
        return Response(status_code=204)

    return routes


def _query(fields: ListFields) -> JobQuery:
    given = fields.model_dump()
    moments = {
        name: None if given[name] is None else given[name].timestamp()
        for name in ("created_after", "created_before")
    }
    return JobQuery(**(given | moments))


def _last_event_id(request: Request) -> int:
    header = request.headers.get("last-event-id") or "0"
    if _EVENT_ID.fullmatch(header) is None:
        raise InvalidRequest("`Last-Event-ID` must be the id of an event.", "Last-Event-ID")
    return int(header)


async def _encoded(
    events: AsyncGenerator[JobEvent, None], watchers: Places
) -> AsyncGenerator[bytes, None]:
    with watchers.taken():
        async with aclosing(events):
            async for one in events:
                yield event(one.name, one.data, one.id)
