"""``POST /v1/ab-tests/analyze``: statistics of an A/B test from its counts."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request

from serve_app.api import ab_documentation as documentation
from serve_app.api.ab_parsing import ParsedAbTest, parse_ab_test
from serve_app.api.body import read_json
from serve_app.api.context import Context
from serve_app.api.job_submission import known_job
from serve_app.workflows.ab_tests.verdict import Verdict

if TYPE_CHECKING:
    from serve_app.workflows.ab_tests.analysis import Analysis


def router(context: Context) -> APIRouter:
    """The route that analyses; it needs no editor."""
    routes = APIRouter(tags=["ab-tests"])

    @routes.post(
        "/v1/ab-tests/analyze",
        summary="Analyse an A/B test: counts in, verdict and figures out",
        openapi_extra=documentation.analysis_body(context.limits),
        responses=documentation.ANALYSIS_RESPONSES,
    )
    async def analyse_ab_test(request: Request) -> dict[str, Any]:
        parsed = parse_ab_test(await read_json(request), context.limits)
        job = None if parsed.job is None else known_job(parsed.job, "job")
        earlier = [] if job is None else await context.jobs.analyses(job)
        looks = sum(Verdict(one["verdict"]).concluded for one in earlier)
        analysis, picture = await asyncio.to_thread(_analysed, parsed, looks)
        answer = parsed.answer(analysis)
        if job is not None:
            await context.jobs.keep_analysis(job, answer)
        if picture is not None:
            answer = answer | {"picture": {"b64_json": picture}}
        return answer

    return routes


def _analysed(parsed: ParsedAbTest, looks: int) -> tuple[Analysis, str | None]:
    """The analysis, and its picture in base64 if one is wanted; takes up to a second."""
    # Statistics weigh 50 MB in every ingress, and most never need them.
    from serve_app.workflows.ab_tests.analysis import analyse
    from serve_app.workflows.ab_tests.picture import drawn

    analysis = analyse(parsed.test, looks=looks)
    if not parsed.picture:
        return analysis, None
    return analysis, base64.b64encode(drawn(analysis)).decode("ascii")
