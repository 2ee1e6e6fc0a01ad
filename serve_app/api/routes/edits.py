"""``POST /v1/images/edits``, compatible with OpenAI's, and the simple form ``POST /edit``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.api import documentation
from serve_app.api.context import Context
from serve_app.api.disconnect import all_or_none, until_disconnect
from serve_app.api.event_stream import EventStream
from serve_app.api.parsing import ParsedEdit, parse_edit, parse_simple_form
from serve_app.api.results import edit_events, edit_headers, edits_body
from serve_app.edits.result import EditOutcome


def router(context: Context) -> APIRouter:
    """Routes that run edits and answer with their images."""
    routes = APIRouter(tags=["edits"])

    @routes.post(
        "/v1/images/edits",
        summary="Edit images by an instruction",
        openapi_extra=documentation.edit_body(context.limits, context.max_images),
        responses=documentation.EDIT_RESPONSES,
    )
    async def create_edit(request: Request) -> Response:
        parsed = await parse_edit(request, context)
        if parsed.fields.stream:
            return await until_disconnect(request.receive, _stream(parsed, context))
        return await until_disconnect(
            request.receive, _answer(parsed, context, str(request.base_url))
        )

    @routes.post(
        "/edit",
        summary="Edit one image; the answer is the edited image",
        response_class=Response,
        openapi_extra=documentation.simple_form_body(context.limits),
        responses=documentation.IMAGE_RESPONSES,
    )
    async def create_simple_edit(request: Request) -> Response:
        parsed = await parse_simple_form(request, context)
        (outcome,) = await until_disconnect(request.receive, _run(parsed, context))
        return Response(outcome.result.png, headers=edit_headers(outcome), media_type="image/png")

    return routes


async def _answer(parsed: ParsedEdit, context: Context, base_url: str) -> Response:
    outcomes = await _run(parsed, context)
    body = await edits_body(outcomes, parsed.fields, base_url)
    return JSONResponse(body, headers=edit_headers(outcomes[0]))


async def _run(parsed: ParsedEdit, context: Context) -> list[EditOutcome]:
    requests = await parsed.requests(context)
    return await all_or_none(context.service.edit(one) for one in requests)


async def _stream(parsed: ParsedEdit, context: Context) -> Response:
    (request,) = await parsed.requests(context)
    events = context.service.stream(request, parsed.fields.partial_images or 0)
    return EventStream(edit_events(events, parsed.fields))
