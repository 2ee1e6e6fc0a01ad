"""Images named by their content: clients may keep those that never change under their address."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

# Private: an image belongs to who sent it, not to a proxy that others share.
_FOR_GOOD = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"


def immutable_png(png: bytes, image_id: str, request: Request) -> Response:
    """Answer with ``png``, or 304 to a client that has it; it is never asked for again."""
    return _answer(png, image_id, request, _FOR_GOOD)


def current_png(png: bytes, image_id: str, request: Request) -> Response:
    """Answer with what is at this address now, or 304 to a client that has it."""
    return _answer(png, image_id, request, _ASK_AGAIN)


def _answer(png: bytes, image_id: str, request: Request, cache_control: str) -> Response:
    etag = f'"{image_id}"'
    headers = {"etag": etag, "cache-control": cache_control}
    held = (tag.strip() for tag in request.headers.get("if-none-match", "").split(","))
    if etag in held:
        return Response(status_code=304, headers=headers)
    return Response(png, headers=headers, media_type="image/png")
