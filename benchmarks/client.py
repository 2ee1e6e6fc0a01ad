"""A lean HTTP client with prebuilt bodies, and, as a program of its own, a closed-loop load.

It shares two cores with the service, so it does next to nothing: no parsing of answers, no
connection set-up. As a program (``python -m benchmarks.client <port> <seconds> <clients>
<method> <path> [content type]``, body on standard input) it prints JSON.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

_BOUNDARY = "benchmark-boundary-7d1f0c"
MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, ready to send."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/octet-stream"


def form(path: str, image: bytes, fields: Mapping[str, object]) -> Call:
    """Build the multipart request of an edit."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = "".join(parts).encode() + head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Call("POST", path, body, MULTIPART)


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, call: Call, request_id: str | None = None) -> bytes:
        """Send ``call`` and return the body; raises ``RuntimeError`` unless it is a 200."""
        headers = {"Content-Type": call.content_type} if call.body else {}
        if request_id is not None:
            headers["x-request-id"] = request_id
        self._connection.request(call.method, call.path, call.body or None, headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"{call.path} answered {response.status}: {body[:300]!r}")
        return body

    def timed(self, call: Call, request_id: str | None = None) -> tuple[float, bytes]:
        """Send ``call``; return its seconds from the first byte out to the last one in."""
        started = time.perf_counter()
        body = self.send(call, request_id)
        return time.perf_counter() - started, body

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Load:
    """What a closed loop of clients got through."""

    requests_per_s: float
    p50_s: float
    p99_s: float


def load(port: int, call: Call, clients: int, seconds: float) -> Load:
    """Run the load in a process of its own, so that its work is not in ours."""
    arguments = [str(port), str(seconds), str(clients), call.method, call.path, call.content_type]
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.client", *arguments],
        input=call.body,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Load(**json.loads(answer.stdout))


def _run(port: int, seconds: float, clients: int, call: Call) -> Load:
    latencies: list[list[float]] = [[] for _ in range(clients)]
    errors: list[Exception] = []
    begin = threading.Barrier(clients + 1)
    until = 0.0

    def loop(own: list[float]) -> None:
        client = Client(port)
        try:
            client.send(call)
            begin.wait()
            while time.perf_counter() < until:
                own.append(client.timed(call)[0])
        except Exception as error:  # noqa: BLE001 - told to whoever started the load
            errors.append(error)
            begin.abort()
        finally:
            client.close()

    threads = [threading.Thread(target=loop, args=(own,)) for own in latencies]
    until = float("inf")
    for thread in threads:
        thread.start()
    try:
        begin.wait()
    except threading.BrokenBarrierError:
        raise errors[0] from None
    started = time.perf_counter()
    until = started + seconds
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    elapsed = time.perf_counter() - started
    every = sorted(latency for own in latencies for latency in own)
    return Load(len(every) / elapsed, every[len(every) // 2], every[int(len(every) * 0.99)])


def main(arguments: list[str]) -> None:
    port, seconds, clients, method, path, content_type = arguments
    call = Call(method, path, sys.stdin.buffer.read(), content_type)
    result = _run(int(port), float(seconds), int(clients), call)
    fields = (result.requests_per_s, result.p50_s, result.p99_s)
    print(json.dumps(dict(zip(Load.__slots__, fields, strict=True))))


if __name__ == "__main__":
    main(sys.argv[1:])
