"""The service's HTTP as a client knows it: JSON, bytes and streams in, errors told apart."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, NoReturn

import httpx

from serve_app.errors import EditServiceError, InvalidRequest, NotReady
from serve_app.server_events import ServerEvent, server_events

# Services send something at least every 15 seconds, in streams; uploads may wait to be decoded.
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)


class ServerRefused(EditServiceError):
    """The service answered with an error, or something else than this service answered."""

    code = "refused"


class ServerTroubled(ServerRefused):
    """The service could not do it now; the same request may succeed later."""

    retryable = True


class ServerConnection:
    """Talks HTTP with the service at ``base_url``; ``request`` is what httpx takes.

    Every method raises ``ServerRefused`` for an error that the service answered with, and
    ``NotReady``, which names the URL, where none answers.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=_checked(self.base_url), timeout=_TIMEOUT)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def stream(self, method: str, path: str, **request: Any) -> Generator[ServerEvent, None, None]:
        """The events of an answer, as they come."""
        with self._reached(), self._http.stream(method, path, **request) as response:
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                self.not_ours()
            try:
                # Lines are those of JSON in ASCII, so httpx finds no other line ends in them.
                for event in server_events(response.iter_lines()):
                    if event.name == "error":
                        raise refusal_in(event.data) or self._strange()
                    yield event
            except ValueError as error:
                raise self._strange() from error

    def pieces(self, method: str, path: str, **request: Any) -> Iterator[bytes]:
        """The bytes of an answer, as they come."""
        with self._reached(), self._http.stream(method, path, **request) as response:
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            yield from response.iter_bytes()

    def json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The object that is the answer."""
        answer = None
        with suppress(ValueError):
            answer = self.call(method, path, **request).json()
        return answer if isinstance(answer, dict) else self.not_ours()

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The whole answer."""
        with self._reached():
            response = self._http.request(method, path, **request)
        if not response.is_success:
            raise self._refusal(response)
        return response

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotReady(
                f"No service answers at {self.base_url}. Start one (`qwen-edit demo`, or "
                "`serve run configs/local.yaml`), or name another with --url or QWEN_EDIT_URL."
            ) from error
        except httpx.RequestError as error:
            raise NotReady(
                f"The connection to {self.base_url} broke ({type(error).__name__}). See whether "
                "the service still runs, and start it again if not."
            ) from error

    def _refusal(self, response: httpx.Response) -> ServerRefused:
        body = None
        with suppress(ValueError):
            body = response.json()
        retry_after_s = None
        with suppress(ValueError):
            retry_after_s = float(response.headers.get("retry-after", ""))
        known = refusal_in(body, retry_after_s)
        if known is not None:
            return known
        passing = response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = ServerTroubled if passing else ServerRefused
        return kind(f"{self.base_url} answered with status {response.status_code} and no reason.")

    def _strange(self) -> ServerRefused:
        return ServerRefused(f"What answers at {self.base_url} is not this service: see the URL.")

    def not_ours(self) -> NoReturn:
        """Refuse an answer that this service would not give."""
        raise self._strange()


def refusal_in(body: Any, retry_after_s: float | None = None) -> ServerRefused | None:
    """The error that the service's error body tells of, if it is one."""
    match body:
        case {"error": {"message": str(message)}}:
            error: dict[str, Any] = body["error"]
        case _:
            return None
    param = error.get("param")
    if param is not None and f"`{param}`" not in message:
        message += f" (`{param}`)"
    if error.get("type") not in ("server_error", "rate_limit_error"):
        return ServerRefused(message, param)
    if retry_after_s is not None:
        message += f" Try again in {retry_after_s:g} s."
    if body.get("request_id"):
        message += f" (request {body['request_id']})"
    return ServerTroubled(message, param, retry_after_s)


def _checked(base_url: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(base_url)
        if url.scheme in ("http", "https") and url.host:
            return url
    raise InvalidRequest(
        f"{base_url!r} is no address of a service, such as http://127.0.0.1:8000.", "url"
    )
