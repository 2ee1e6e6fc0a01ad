"""A cap on what a request may send, counted while it arrives."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.error_responses import error_response
from serve_app.api.request_id import request_id_of
from serve_app.errors import EditServiceError, PayloadTooLarge, UnsupportedMediaType


class BodyLimitMiddleware:
    """Refuse bodies above ``max_bytes`` and bodies that would grow when unpacked.

    A false or missing ``Content-Length`` changes nothing: the bytes are counted, and
    reading stops at the first one too many. Only a true one saves the upload.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            response = error_response(refusal, request_id_of(Request(scope)))
            await response(scope, receive, send)
            return
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            return message

        await self._app(scope, counted_receive, send)

    def _refusal(self, headers: Headers) -> EditServiceError | None:
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return UnsupportedMediaType("Send the body without a Content-Encoding.")
        announced = headers.get("content-length", "")
        # Never int() first: it would refuse a number of thousands of digits by raising.
        digits = announced.lstrip("0")
        if announced.isdecimal() and (len(digits) > 18 or int(digits or 0) > self._max_bytes):
            return self._too_large()
        return None

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body has more than {self._max_bytes} bytes.")
