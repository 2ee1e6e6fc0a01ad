"""``/v1/results``: stored edits and everything needed to make them again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api import documentation
from serve_app.api.context import Context
from serve_app.api.immutable import immutable_png
from serve_app.errors import NotFound


def router(context: Context) -> APIRouter:
    """Routes that give back finished edits."""
    routes = APIRouter(tags=["results"])

    @routes.get(
        "/v1/results/{result_id}",
        summary="The edited image, as PNG",
        response_class=Response,
        responses=documentation.IMAGE_RESPONSES,
    )
    async def get_result(result_id: str, request: Request) -> Response:
        png = await context.results.image(result_id)
        if png is None:
            raise NotFound("There is no result with this id.")
        return immutable_png(png, result_id, request)

    @routes.get(
        "/v1/results/{result_id}/metadata",
        summary="The record of the edit",
        responses=documentation.ERROR_RESPONSES,
    )
    async def get_metadata(result_id: str) -> dict[str, Any]:
        metadata = await context.results.metadata(result_id)
        if metadata is None:
            raise NotFound("There is no result with this id.")
        return metadata

    return routes
