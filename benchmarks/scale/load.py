"""Load on a service from a process of its own: at set times, or by clients that wait for answers.

As a program it reads a ``Plan`` as JSON from standard input and prints what became of it.
"""

from __future__ import annotations

import http.client
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from PIL import Image

from benchmarks.client import Call, form
from benchmarks.photos import photo

_MOST_AT_ONCE = 128
_SETTLE_S = 0.5
_LARGEST_CROP = 256
"""Of the sample, so that there are many."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An edit of the ``key``-th photo; ``at`` is seconds from the start."""

    at: float
    steps: int
    key: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of it: ``cache`` is the service's own word, or the status if it is an error."""

    at: float
    seconds: float
    status: int
    cache: str
    id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All answers, and what the client itself cost."""

    answers: list[Answered]
    cpu_s: float

    @property
    def took_s(self) -> float:
        """From the start to the last answer."""
        return max(answer.at + answer.seconds for answer in self.answers)


def run(port: int, wanted: Sequence[Wanted], side: int, clients: int | None = None) -> Outcome:
    """Send ``wanted`` and wait for the answers.

    With ``clients`` each of them sends the next one when it has its answer; otherwise each is
    sent at its time. Photos are squares of ``side`` pixels.
    """
    plan = {
        "port": port,
        "side": side,
        "clients": clients,
        "wanted": [asdict(each) for each in wanted],
    }
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale.load"],
        input=json.dumps(plan).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(process.stdout)
    return Outcome([Answered(**each) for each in told["answers"]], told["cpu_s"])


def call(wanted: Wanted, side: int) -> Call:
    """The request of one attempt; what it asks for is known by its key."""
    fields = {
        "prompt": "make it a watercolour",
        "num_inference_steps": wanted.steps,
        "seed": wanted.key,
        "max_attempts": 1,
    }
    return form("/v1/images/edits", upload(wanted.key, side), fields)


def upload(key: int, side: int) -> bytes:
    """The photo as a JPEG; beyond what the sample has, enlarged."""
    image = Image.fromarray(photo(key, min(side, _LARGEST_CROP)))
    buffer = io.BytesIO()
    image.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


class _Clients(threading.local):
    connection: http.client.HTTPConnection | None = None


def _send(port: int, clients: _Clients, request: Call, started: float) -> Answered:
    at = time.perf_counter()
    if clients.connection is None:
        clients.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    clients.connection.request(
        request.method, request.path, request.body, {"Content-Type": request.content_type}
    )
    response = clients.connection.getresponse()
    response.read()
    seconds = time.perf_counter() - at
    cache = response.headers.get("x-edit-cache", "")
    edit_id = response.headers.get("x-edit-id", "")
    return Answered(at - started, seconds, response.status, cache, edit_id)


def main() -> None:
    plan = json.load(sys.stdin)
    wanted = [Wanted(**each) for each in plan["wanted"]]
    calls = [call(each, plan["side"]) for each in wanted]
    port, together, clients = plan["port"], plan["clients"], _Clients()
    time.sleep(_SETTLE_S)
    before, started = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(together or _MOST_AT_ONCE) as threads:
        answers = []
        for each, request in zip(wanted, calls, strict=True):
            if together is None:
                time.sleep(max(0.0, started + each.at - time.perf_counter()))
            answers.append(threads.submit(_send, port, clients, request, started))
        told = [asdict(answer.result()) for answer in answers]
    print(json.dumps({"answers": told, "cpu_s": time.process_time() - before}))


if __name__ == "__main__":
    main()
