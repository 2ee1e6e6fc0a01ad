"""``/v1/jobs/{id}/…``: what a job has made of its results, and what was found out about them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serve_app.api.archive import zipped
from serve_app.api.context import Context
from serve_app.api.documentation import ERROR_RESPONSES, IMAGE_RESPONSES
from serve_app.api.immutable import current_png
from serve_app.api.job_documentation import ARCHIVE_RESPONSES
from serve_app.api.job_steps import CONTACT_SHEET
from serve_app.api.job_submission import known_job
from serve_app.errors import NotFound
from serve_app.storage.results import RESULT_ID
from serve_app.workflows.jobs.outputs import JobOutputs


def router(context: Context) -> APIRouter:
    """Routes for what there is at the end of chains, variants and brand sets."""
    routes = APIRouter(tags=["jobs"])

    async def outputs_of(job_id: str) -> JobOutputs:
        return await context.jobs.outputs(known_job(job_id))

    @routes.get(
        "/v1/jobs/{job_id}/contact-sheet",
        summary="All pictures of a job on one page",
        response_class=Response,
        responses=IMAGE_RESPONSES,
    )
    async def get_contact_sheet(job_id: str, request: Request) -> Response:
        sheet = (await outputs_of(job_id)).contact_sheet
        png = await context.files.png(sheet)
        if png is None:
            raise NotFound("The contact sheet is not stored any more.")
        return current_png(png, sheet, request)  # another run of the job makes another one

    @routes.get(
        "/v1/jobs/{job_id}/manifest",
        summary="What the pictures of a job are, for programs",
        responses=ERROR_RESPONSES,
    )
    async def get_manifest(job_id: str) -> dict[str, Any]:
        return (await outputs_of(job_id)).manifest

    @routes.get(
        "/v1/jobs/{job_id}/archive",
        summary="All pictures of a job with its contact sheet and manifest, as a zip archive",
        response_class=Response,
        responses=ARCHIVE_RESPONSES,
    )
    async def get_archive(job_id: str) -> Response:
        outputs = await outputs_of(job_id)
        return StreamingResponse(
            zipped(_files(outputs, context)),
            media_type="application/zip",
            headers={"content-disposition": f'attachment; filename="{job_id}.zip"'},
        )

    @routes.get(
        "/v1/jobs/{job_id}/analyses",
        summary="All analyses of the test that a job's variants are for, the oldest first",
        responses=ERROR_RESPONSES,
    )
    async def list_analyses(job_id: str) -> dict[str, Any]:
        return {"object": "list", "data": await context.jobs.analyses(known_job(job_id))}

    return routes


async def _files(outputs: JobOutputs, context: Context) -> AsyncGenerator[tuple[str, bytes], None]:
    manifest = json.dumps(outputs.manifest, ensure_ascii=False, indent=2).encode()
    yield "manifest.json", manifest
    for name, image_id in {f"{CONTACT_SHEET}.png": outputs.contact_sheet, **outputs.files}.items():
        is_result = RESULT_ID.fullmatch(image_id) is not None
        png = await (context.results.image(image_id) if is_result else context.files.png(image_id))
        # What was erased meanwhile is missing: the answer has begun.
        if png is not None:
            yield name, png
