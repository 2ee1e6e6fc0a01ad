"""Errors to HTTP: the one error body, whoever raised the error.

Messages of unexpected exceptions may quote what the user sent, so neither the answer nor
the log repeats them: the log has the type, the place and the request id.
"""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.request_id import request_id_of
from serve_app.errors import (
    EditServiceError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
)

ExceptionHandler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

logger = logging.getLogger(__name__)

_DEFAULT_RETRY_AFTER_S = 5.0

#: What OpenAI's SDK would send again by itself, unless told not to.
_RETRIED = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
)


def error_body(error: EditServiceError, request_id: str) -> dict[str, Any]:
    """The body every error answers with."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        },
        "request_id": request_id,
    }


def error_response(error: EditServiceError, request_id: str) -> Response:
    """Answer with ``error`` and tell clients whether, and when, to try again."""
    headers: dict[str, str] = {}
    retry_after_s = error.retry_after_s
    if error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        retry_after_s = _DEFAULT_RETRY_AFTER_S if retry_after_s is None else retry_after_s
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
    if error.status in _RETRIED or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        headers["x-should-retry"] = str(error.retryable).lower()
    return Response(
        # ASCII: names of fields come from users and may hold what UTF-8 can't.
        json.dumps(error_body(error, request_id)),
        error.status,
        headers,
        media_type="application/json",
    )


def as_service_error(error: Exception, request_id: str) -> EditServiceError:
    """``error`` as callers may see it; failures of our own are logged.

    An error that crossed a process border may arrive wrapped, with the original, its
    message and its field as the ``cause``.
    """
    original = getattr(error, "cause", None)
    known = original if isinstance(original, EditServiceError) else error
    if not isinstance(known, EditServiceError):
        frames = "".join(traceback.format_tb(error.__traceback__))
        logger.error("unexpected %s in request %s\n%s", type(error).__name__, request_id, frames)
        return EditServiceError("An unexpected error occurred; quote the request id to report it.")
    if known.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s in request %s", known.code, request_id)
    return known


class UnexpectedErrorMiddleware:
    """Answer 500 to what nothing else handled, and nothing to a client that has gone.

    Starlette would raise it again after answering, and the server would log its message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            try:
                await send(message)
            except OSError:
                # How some servers say that the connection is closed.
                raise ClientDisconnect from None

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 the last resort: whatever it is, 500
            request_id = request_id_of(Request(scope))
            known = as_service_error(error, request_id)
            if not started:
                await error_response(known, request_id)(scope, receive, send)


async def _on_service_error(request: Request, error: EditServiceError) -> Response:
    request_id = request_id_of(request)
    return error_response(as_service_error(error, request_id), request_id)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    """Rewrite the framework's own answers into ours, keeping its headers (``Allow``)."""
    known: EditServiceError
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            known = NotFound("There is nothing at this address.")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            known = MethodNotAllowed("This address does not take this method.")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            known = PayloadTooLarge("The body is too large.")
        case status if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            known = InvalidRequest("The request is malformed.")
        case _:
            known = as_service_error(error, request_id_of(request))
    response = error_response(known, request_id_of(request))
    response.headers.update(error.headers or {})
    return response


async def _on_validation_error(request: Request, _: RequestValidationError) -> Response:
    error = InvalidRequest("The request is malformed.")
    return error_response(error, request_id_of(request))


EXCEPTION_HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    EditServiceError: _on_service_error,
    HTTPException: _on_http_exception,
    RequestValidationError: _on_validation_error,
}
