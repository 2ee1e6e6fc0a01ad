"""``POST /v1/validate``: judge any edit, made by any tool."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from serve_app.api import documentation
from serve_app.api.context import Context
from serve_app.api.disconnect import until_disconnect
from serve_app.api.validation import ParsedValidation, parse_validation


def router(context: Context) -> APIRouter:
    """The route that judges; it needs no editor."""
    routes = APIRouter(tags=["validation"])

    @routes.post(
        "/v1/validate",
        summary="Judge an edit: original and edited image in, report out",
        openapi_extra=documentation.validation_body(context.limits),
        responses=documentation.REPORT_RESPONSES,
    )
    async def validate(request: Request) -> dict[str, Any]:
        parsed = await parse_validation(request, context)
        return await until_disconnect(request.receive, _answer(parsed, context))

    return routes


async def _answer(parsed: ParsedValidation, context: Context) -> dict[str, Any]:
    case = await parsed.case(context)
    judged = await context.service.validate(case, parsed.fields.picture)
    body = judged.report.to_json() | {"edit_type": str(case.edit_type)}
    if judged.picture is not None:
        encoded = await asyncio.to_thread(base64.b64encode, judged.picture)
        body["picture"] = {"b64_json": encoded.decode("ascii")}
    return body
