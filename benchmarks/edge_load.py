"""What the edge must stand: bodies without end, and headers that never become whole."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.edge_proxy import EdgeProxy
from benchmarks.serving import HOST

_CHUNK = 2**20
_MEASURED_EVERY = 8
"""Chunks from one look at the proxy's memory to the next."""


class _Answered(io.BytesIO):
    """Bytes that ``http.client`` reads as if they came from a socket."""

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return self


@dataclass(frozen=True, slots=True)
class Upload:
    """How an upload ended: the answer, bytes sent until then, and the proxy's highest memory."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    sent: int
    peak_memory: int


async def upload_in_chunks(edge: EdgeProxy, size: int, address: str, stubborn: bool) -> Upload:
    """Upload ``size`` bytes, made as they go; a ``stubborn`` client does not stop at the answer."""
    reader, writer = await asyncio.open_connection(
        HOST, edge.port, ssl=edge.trust, local_addr=(address, 0)
    )
    answering = asyncio.create_task(_answer(reader))
    writer.write(b"POST /edit HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n%b\r\n" % (_CHUNK, bytes(_CHUNK))
    sent = peak = 0
    try:
        while sent < size and (stubborn or not answering.done()):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)  # drain gives way only when the buffer is full: read, too
            sent += _CHUNK
            if sent // _CHUNK % _MEASURED_EVERY == 0:
                peak = max(peak, edge.memory())
    except ConnectionError:
        pass  # the proxy has heard enough
    answer = await answering
    writer.close()
    return Upload(answer.status, answer.headers, answer.read(), sent, peak)


async def _answer(reader: asyncio.StreamReader) -> http.client.HTTPResponse:
    head = await reader.readuntil(b"\r\n\r\n")
    length = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))["content-length"]
    whole = _Answered(head + await reader.readexactly(int(length)))
    response = http.client.HTTPResponse(whole)  # type: ignore[arg-type]
    response.begin()
    return response


@contextmanager
def half_open(edge: EdgeProxy, number: int, address: str) -> Iterator[Sequence[socket.socket]]:
    """Hold connections on which a header has begun and does not go on."""
    with ExitStack() as stack:
        held = []
        for _ in range(number):
            plain = stack.enter_context(
                socket.create_connection((HOST, edge.port), 60, source_address=(address, 0))
            )
            sock = stack.enter_context(edge.trust.wrap_socket(plain, server_hostname=HOST))
            sock.sendall(b"POST /edit HTTP/1.1\r\nHost: edge\r\nX-Slow: ")
            held.append(sock)
        yield held
