"""A service elsewhere, for tests of clients: answers as told and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Part:
    """A part of a multipart form."""

    name: str
    file_name: str | None
    content: bytes


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parts(self) -> list[Part]:
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parts: Any = BytesParser().parsebytes(head + self.body).get_payload()
        return [
            Part(
                str(part.get_param("name", header="content-disposition")),
                part.get_filename(),
                part.get_payload(decode=True),
            )
            for part in parts
        ]


@dataclass(frozen=True)
class Answer:
    """A whole answer; a mapping is sent as JSON."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """Server-sent events: text, or what to do between; ``broken`` ends it without an end."""

    pieces: Sequence[str | Callable[[], object]]
    broken: bool = False


class Elsewhere:
    """``on`` says how a route answers: in turn, the last answer again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self._answers: defaultdict[tuple[str, str], list[Answer | Stream]] = defaultdict(list)

    def on(self, method: str, path: str, *answers: Answer | Stream) -> None:
        self._answers[method, path] = list(answers)

    def answer(self, asked: Asked) -> Answer | Stream:
        self.asked.append(asked)
        answers = self._answers[asked.method, asked.path]
        if not answers:
            return Answer(error("There is nothing at this address."), 404)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def requests(self, method: str, path: str) -> list[Asked]:
        return [it for it in self.asked if (it.method, it.path) == (method, path)]


def error(
    message: str, param: str | None = None, kind: str = "invalid_request_error"
) -> dict[str, Any]:
    body = {"message": message, "type": kind, "param": param, "code": "some_code"}
    return {"error": body, "request_id": "req-1"}


def event(name: str, data: dict[str, Any], event_id: int | None = None) -> str:
    number = "" if event_id is None else f"id: {event_id}\n"
    return f"{number}event: {name}\ndata: {json.dumps(data)}\n\n"


def state(name: str, event_id: int, trouble: dict[str, Any] | None = None) -> str:
    return event(
        "state", {"state": name, "at": "2027-01-01T00:00:00.000+00:00", "error": trouble}, event_id
    )


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """A server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(address.query))
            answer = service.answer(Asked(self.command, address.path, query, headers, body))
            # A client that leaves in the middle is none of the server's business.
            with suppress(ConnectionError):
                if isinstance(answer, Stream):
                    self._stream(answer)
                else:
                    self._whole(answer)

        def _whole(self, answer: Answer) -> None:
            raw = isinstance(answer.body, bytes)
            body = answer.body if raw else json.dumps(answer.body).encode()
            if answer.status == 204:
                body = b""
            self.send_response(answer.status)
            self.send_header("content-type", "image/png" if raw else "application/json")
            self.send_header("content-length", str(len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, answer: Stream) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in answer.pieces:
                if callable(piece):
                    piece()
                else:
                    data = piece.encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if answer.broken:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    service = Elsewhere(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def nowhere() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
