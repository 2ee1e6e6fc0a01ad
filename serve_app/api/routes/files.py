"""``/v1/files``: images by content id, to name in JSON requests."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api import documentation
from serve_app.api.body import read_multipart
from serve_app.api.context import Context
from serve_app.api.disconnect import until_disconnect
from serve_app.api.immutable import immutable_png
from serve_app.api.model_fields import refuse_unknown
from serve_app.errors import InvalidRequest, MissingField, NotFound
from serve_app.images.encoding import OutputFormat, encode


def router(context: Context) -> APIRouter:
    """Routes that store images and give them back."""
    routes = APIRouter(tags=["files"])

    @routes.post(
        "/v1/files",
        summary="Store an image to edit later",
        openapi_extra=documentation.file_body(),
        responses=documentation.ERROR_RESPONSES,
    )
    async def create_file(request: Request) -> dict[str, Any]:
        data = _only_file(await read_multipart(request))
        return await until_disconnect(request.receive, _store(data, context))

    @routes.get(
        "/v1/files/{file_id}",
        summary="The stored image, as PNG",
        response_class=Response,
        responses=documentation.IMAGE_RESPONSES,
    )
    async def get_file(file_id: str, request: Request) -> Response:
        png = await context.files.png(file_id)
        if png is None:
            raise NotFound("There is no file with this id.")
        return immutable_png(png, file_id, request)

    return routes


def _only_file(parts: list[tuple[str, Any]]) -> bytes:
    refuse_unknown((name for name, _ in parts), {"file"})
    if not parts:
        raise MissingField("`file` is required.", "file")
    if len(parts) > 1:
        raise InvalidRequest("The field is given twice.", "file")
    data = parts[0][1]
    if not isinstance(data, bytes):
        raise InvalidRequest("`file` must be a file part, with a file name.", "file")
    return data


async def _store(data: bytes, context: Context) -> dict[str, Any]:
    image = await context.decoder.decode(data, "file")
    png = await asyncio.to_thread(encode, image.pixels, OutputFormat.PNG)
    await context.files.put(image.id, png)
    return {"id": image.id, "width": image.width, "height": image.height, "bytes": len(png)}
