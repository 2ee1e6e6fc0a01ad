"""Images that never change under their id: clients may keep them for good."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

# Private: an image belongs to who sent it, not to a proxy that others share.
_CACHE_CONTROL = "private, max-age=31536000, immutable"


def immutable_png(png: bytes, image_id: str, request: Request) -> Response:
    """Answer with ``png``, or 304 to a client that has it."""
    etag = f'"{image_id}"'
    headers = {"etag": etag, "cache-control": _CACHE_CONTROL}
    held = (tag.strip() for tag in request.headers.get("if-none-match", "").split(","))
    if etag in held:
        return Response(status_code=304, headers=headers)
    return Response(png, headers=headers, media_type="image/png")
