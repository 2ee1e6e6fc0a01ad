"""What the edge proxy withstands, in front of the served graph: `python -m benchmarks.edge`."""

from __future__ import annotations

import asyncio
import http.client
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from rich.console import Console

from benchmarks.client import form
from benchmarks.edge_load import half_open, upload_in_chunks
from benchmarks.edge_proxy import EdgeProxy, edge_proxy
from benchmarks.interleave import interleaved, median_ratio, summary
from benchmarks.photos import jpeg
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from benchmarks.serving import HOST, Served, served

CONFIG = REPOSITORY / "configs" / "local.yaml"
GIGABYTE = 10**9
HALF_OPEN = 150
HEADERS_S = 10.0
"""`client_header_timeout`: then half-open connections are closed."""
TURNS = 20
CLIENTS = 4
REQUESTS = 45
"""Of one client in a turn: below what the rate of an address lets through at once."""
ASKED = "/v1/models"
UPLOADER, HOLDER = "127.0.1.1", "127.0.1.2"


def main() -> None:
    console = wide_console()
    figures: list[Figure] = []
    details: dict[str, Any] = {"config": str(CONFIG.relative_to(REPOSITORY))}
    console.print("Starting the service and the edge …")
    with served(CONFIG, {}) as service, edge_proxy(service.port) as edge:
        _uploads(console, edge, figures, details)
        _half_open(console, service, edge, figures, details)
        _forged(console, service, edge, figures, details)
    publish(console, "edge", figures, details)


# A gigabyte in chunks ---------------------------------------------------------------------


def _uploads(
    console: Console, edge: EdgeProxy, figures: list[Figure], details: dict[str, Any]
) -> None:
    for name, stubborn in (("stops at the answer", False), ("sends on after it", True)):
        console.print(f"1 GB in chunks, from a client that {name} …")
        before = edge.memory()
        upload = asyncio.run(upload_in_chunks(edge, GIGABYTE, UPLOADER, stubborn))
        grown_mb = (upload.peak_memory - before) / 1e6
        details[name] = {
            "status": upload.status,
            "sent_mb": upload.sent / 1e6,
            "memory_mb": {"before": before / 1e6, "peak": upload.peak_memory / 1e6},
        }
        if upload.status != http.client.REQUEST_ENTITY_TOO_LARGE:
            raise RuntimeError(f"The upload was answered with {upload.status}, not with 413.")
        figures.append(
            Figure(
                f"1 GB in chunks, a client that {name}: 413, memory of the proxy grows by",
                grown_mb,
                "MB",
                Target(20),
                f"{before / 1e6:.0f} MB before; {upload.sent / 1e6:.0f} MB were sent",
            )
        )


# Half-open headers ------------------------------------------------------------------------


def _half_open(
    console: Console,
    service: Served,
    edge: EdgeProxy,
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    console.print(f"Others' requests beside {HALF_OPEN} half-open headers, {TURNS} turns …")
    addresses = iter([f"127.2.{turn}.{one}" for turn in range(250) for one in range(1, 250)])
    every: dict[str, list[float]] = {"alone": [], "beside": [], "direct": []}

    def turn(kept: list[float], port: int, secured: bool, held: int) -> float:
        """Ask as one client after the other; return the p99."""
        own: list[float] = []
        for _ in range(CLIENTS):
            started = time.monotonic()
            with half_open(edge, held, HOLDER):
                own += _asked(edge, next(addresses), port, secured)
            if held and time.monotonic() - started > HEADERS_S:
                raise RuntimeError(
                    "The half-open connections were closed before the others had asked."
                )
        kept += own
        return _p99(own)

    def alone(_: int) -> float:
        return turn(every["alone"], edge.port, secured=True, held=0)

    def beside(_: int) -> float:
        return turn(every["beside"], edge.port, secured=True, held=HALF_OPEN)

    def direct(_: int) -> float:
        return turn(every["direct"], service.port, secured=False, held=0)

    p99s = interleaved({"alone": alone, "beside": beside, "direct": direct}, TURNS)
    details["requests"] = {name: {**summary(it), "p99_s": _p99(it)} for name, it in every.items()}
    details["p99_of_turns_s"] = p99s
    p50s = {name: statistics.median(seconds) * 1e3 for name, seconds in every.items()}
    figures += [
        Figure(
            f"p99 of others' requests beside {HALF_OPEN} half-open headers",
            median_ratio(p99s["beside"], p99s["alone"]),
            "x without them",
            Target(1.1),
            f"{_p99(every['beside']) * 1e3:.1f} ms, {_p99(every['alone']) * 1e3:.1f} ms without, "
            f"over {len(every['alone'])} requests each way",
        ),
        Figure(
            f"the edge adds to GET {ASKED}, p50",
            p50s["alone"] - p50s["direct"],
            "ms",
            None,
            f"straight to Serve {p50s['direct']:.1f} ms; TLS included, connections kept",
        ),
    ]


def _asked(edge: EdgeProxy, address: str, port: int, secured: bool) -> list[float]:
    """Seconds of each request on one connection; the first, which opens it, is not counted."""
    seconds = []
    with closing(_connection(edge, address, port, secured)) as connection:
        for _ in range(REQUESTS + 1):
            started = time.perf_counter()
            connection.request("GET", ASKED)
            response = connection.getresponse()
            response.read()
            seconds.append(time.perf_counter() - started)
            if response.status != http.client.OK:
                raise RuntimeError(f"{ASKED} answered {response.status}.")
    return seconds[1:]


def _connection(
    edge: EdgeProxy, address: str, port: int, secured: bool
) -> http.client.HTTPConnection:
    if not secured:
        return http.client.HTTPConnection(HOST, port, timeout=60, source_address=(address, 0))
    return http.client.HTTPSConnection(
        HOST, port, timeout=60, source_address=(address, 0), context=edge.trust
    )


def _p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1]


# Forged headers ---------------------------------------------------------------------------


def _forged(
    console: Console,
    service: Served,
    edge: EdgeProxy,
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    console.print("Forged headers, straight to Serve and through the edge …")
    reached = {
        "straight to Serve": _obeyed(edge, service.port, secured=False),
        "through the edge": _obeyed(edge, edge.port, secured=True),
    }
    details["forged"] = reached
    straight, through = reached.values()
    figures.append(
        Figure(
            "forged headers and hidden routes that count through the edge",
            sum(through.values()),
            f"of {len(through)}",
            Target(0),
            f"straight to Serve {sum(straight.values())}",
        )
    )


def _obeyed(edge: EdgeProxy, port: int, secured: bool) -> dict[str, bool]:
    """What a client gets out of headers and routes that are not for it."""
    call = form("/v1/images/edits", jpeg(0, 64), {"prompt": "make it night", "cache": "off"})
    forged = {"x-request-timeout-seconds": "0.001", "Content-Type": call.content_type}
    with closing(_connection(edge, HOLDER, port, secured)) as connection:

        def answer(*request: Any) -> http.client.HTTPResponse:
            connection.request(*request)
            response = connection.getresponse()
            response.read()
            return response

        timed = answer("POST", call.path, call.body, forged)
        named = answer("GET", ASKED, None, {"x-request-id": "mine"})
        return {
            "x-request-timeout-seconds": timed.status == http.client.REQUEST_TIMEOUT,
            "x-request-id": named.headers["x-request-id"] == "mine",
            "/-/routes": answer("GET", "/-/routes").status == http.client.OK,
        }


if __name__ == "__main__":
    main()
