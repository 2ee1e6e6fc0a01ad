"""What durable jobs cost, on the served graph: `python -m benchmarks.jobs`."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.photos import jpeg
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from benchmarks.serving import HOST, Served, served

CONFIG = REPOSITORY / "configs" / "local.yaml"
SIDE = 64
EDITS = 60
WARM = 5
QUEUED = 1000
LISTINGS = 200
TWINS = 50
PROMPT = "make it night"

HELD: dict[str, dict[str, Any]] = {"jobs": {"running": 1, "running_per_user": 1}}
"""One job at a time, so that the others stay queued."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that calls took."""

    seconds: Sequence[float]

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.seconds, n=20)[-1]


def main() -> None:
    console = wide_console()
    figures: list[Figure] = []
    details: dict[str, Any] = {"config": str(CONFIG.relative_to(REPOSITORY))}
    with tempfile.TemporaryDirectory(prefix="qej-", dir="/tmp") as name:
        storage = Path(name)
        console.print(f"{EDITS} edits, each as a request and as a job; {TWINS} twins …")
        with served(CONFIG, {}, storage) as service:
            asyncio.run(_alone(service, figures, details))
        console.print(f"{QUEUED} jobs queued behind a long one, and listed …")
        with served(CONFIG, HELD, storage) as service:
            asyncio.run(_queued(service, figures, details))
        console.print("Started again with all of them queued …")
        started = time.monotonic()
        with served(CONFIG, HELD, storage) as service:
            asyncio.run(_again(service, started, figures, details))
    publish(console, "jobs", figures, details)


async def _alone(service: Served, figures: list[Figure], details: dict[str, Any]) -> None:
    async with _client(service) as client:
        image = await _uploaded(client)
        direct, jobs = [], []
        for number in range(WARM + EDITS):
            # Other seeds each time, and for both: nothing comes from the cache.
            direct.append(await _direct(client, image, 2 * number))
            jobs.append(await _job(client, image, 2 * number + 1))
        request, job = Times(direct[WARM:]), Times(jobs[WARM:])
        figures.append(
            Figure(
                "a job beyond the same edit as a request, p50",
                (job.p50 - request.p50) * 1000,
                "ms",
                Target(300),
                f"request {request.p50 * 1000:.0f} ms, job {job.p50 * 1000:.0f} ms, from the "
                "submission to the event that says it has ended",
            )
        )
        details["direct_s"], details["job_s"] = list(request.seconds), list(job.seconds)
        body = _edit(image, seed=999_999, steps=40)
        twins = await asyncio.gather(
            *(
                client.post("/v1/jobs", json=body, headers={"idempotency-key": "twin"})
                for _ in range(TWINS)
            )
        )
        ids = {answer.json()["id"] for answer in twins}
        for job_id in ids:
            await _ended(client, job_id)
        runs = [
            event
            for job_id in ids
            for event in await _events(client, job_id)
            if event == ("step", "running")
        ]
        figures.append(
            Figure(f"jobs of {TWINS} requests at once with one key", len(ids), "jobs", Target(1))
        )
        figures.append(Figure("runs of their edit", len(runs), "runs", Target(1)))


async def _queued(service: Served, figures: list[Figure], details: dict[str, Any]) -> None:
    async with _client(service) as client:
        image = await _uploaded(client)
        # Holds the one place until the end of this part.
        await _submit(client, _edit(image, seed=1, steps=200, items=400))
        submissions = [
            await _timed(_submit(client, _edit(image, 10_000 + number))) for number in range(QUEUED)
        ]
        listings = []
        cursor: str | None = None
        for _ in range(LISTINGS):
            parameters = {"state": "queued", "limit": "20"} | ({"cursor": cursor} if cursor else {})
            began = time.perf_counter()
            page = (await client.get("/v1/jobs", params=parameters)).json()
            listings.append(time.perf_counter() - began)
            cursor = page["next_cursor"]
        submitted, listed = Times(submissions), Times(listings)
        figures.append(
            Figure(
                f"submission of {QUEUED} jobs, one after the other, p95",
                submitted.p95 * 1000,
                "ms",
                Target(150),
                f"p50 {submitted.p50 * 1000:.0f} ms, while another job runs",
            )
        )
        figures.append(
            Figure(
                f"a page of the list with {QUEUED} jobs queued, p95",
                listed.p95 * 1000,
                "ms",
                Target(150),
                f"p50 {listed.p50 * 1000:.0f} ms",
            )
        )
        details["submission_s"], details["listing_s"] = submissions, listings


async def _again(
    service: Served, started: float, figures: list[Figure], details: dict[str, Any]
) -> None:
    ready = time.monotonic()
    async with _client(service) as client:
        running = (await client.get("/v1/jobs", params={"state": "running"})).json()["data"]
        job_id = running[0]["id"]
        # Not what is told of the time before, but the first denoising step after it.
        async with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            async for line in stream.aiter_lines():
                if line == "event: progress":
                    break
        progress_s = time.monotonic() - ready
        queued = await _count(client, "queued")
    figures.append(
        Figure(
            f"first progress after the restart with {queued} jobs queued",
            max(0.0, progress_s),
            "s after ready",
            Target(15),
            f"ready {ready - started:.0f} s after the start",
        )
    )
    figures.append(
        Figure("jobs still queued after the restart", queued, "jobs", Target(QUEUED, False))
    )
    details["restart"] = {"ready_s": ready - started, "progress_s": progress_s}


def _client(service: Served) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{HOST}:{service.port}", timeout=120)


def _edit(image: str, seed: int, steps: int = 8, items: int = 0) -> dict[str, Any]:
    edit = {"num_inference_steps": steps, "max_attempts": 1}
    if items:
        several = [{"seed": seed + number, **edit} for number in range(items)]
        shared = {"image": image, "prompt": PROMPT, "concurrency": 1}
        return {"kind": "edit", **shared, "items": several}
    return {"kind": "edit", "image": image, "prompt": PROMPT, "seed": seed, **edit}


async def _uploaded(client: httpx.AsyncClient) -> str:
    files = {"file": ("a.jpg", jpeg(0, SIDE), "image/jpeg")}
    return str((await client.post("/v1/files", files=files)).json()["id"])


async def _direct(client: httpx.AsyncClient, image: str, seed: int) -> float:
    body = {name: value for name, value in _edit(image, seed).items() if name != "kind"}
    return await _timed(client.post("/v1/images/edits", json=body))


async def _job(client: httpx.AsyncClient, image: str, seed: int) -> float:
    async def job() -> None:
        job_id = await _submit(client, _edit(image, seed))
        await _events(client, job_id)

    return await _timed(job())


async def _submit(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await client.post("/v1/jobs", json=body)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise RuntimeError(f"a job was refused: {answer.text[:300]}")
    return str(answer.json()["id"])


async def _events(client: httpx.AsyncClient, job_id: str) -> list[tuple[str, str]]:
    """The names and states of all kept events, to the end of the job."""
    found, name = [], ""
    async with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name in ("state", "step"):
                found.append((name, json.loads(line.removeprefix("data: "))["state"]))
    return found


async def _ended(client: httpx.AsyncClient, job_id: str) -> None:
    await _events(client, job_id)


async def _count(client: httpx.AsyncClient, state: str) -> int:
    found, parameters = 0, {"state": state, "limit": "100"}
    while True:
        page = (await client.get("/v1/jobs", params=parameters)).json()
        found += len(page["data"])
        if not page["has_more"]:
            return found
        parameters["cursor"] = page["next_cursor"]


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
