"""Jobs through a hundred deaths, on the served graph: `python -m benchmarks.kills`.

While chains run, the process that runs them is killed at random moments with SIGKILL, now and
then all processes of the service at once. In the end every accepted job is asked for.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from benchmarks.photos import jpeg
from benchmarks.processes import kill, pids_in_session, replicas
from benchmarks.report import REPOSITORY, Figure, Target, publish, wide_console
from benchmarks.serving import HOST, Served, served

CONFIG = REPOSITORY / "configs" / "local.yaml"
JOBS = "Jobs"
SIDE = 64
STEPS = 3
DENOISING_STEPS = 30
AT_ONCE = 4
_ENDED = ("succeeded", "failed")
LONGEST_WAIT_S = 3.0
"""A kill comes so long after the jobs are seen to go on, at most: within a few edits."""


@dataclass
class Account:
    """What was accepted, and what the kills cost."""

    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    seeds: int = 0
    recoveries_s: list[float] = field(default_factory=list)


def main(
    kills: Annotated[int, typer.Option(help="Deaths of the process that runs jobs.")] = 100,
    whole: Annotated[int, typer.Option(help="Of these, deaths of the whole service.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the random moments.")] = 6,
) -> None:
    """Kill, start again, and count what was lost or done twice."""
    console = wide_console()
    moments = random.Random(seed)
    account = Account()
    with tempfile.TemporaryDirectory(prefix="qek-", dir="/tmp") as name:
        storage = Path(name)
        share, more = divmod(kills - whole, whole + 1)
        counts = [share + (number < more) for number in range(whole + 1)]
        for number, count in enumerate(counts, 1):
            last = number == len(counts)
            console.print(f"Start {number} of {len(counts)}: {count} kills …")
            with served(CONFIG, {}, storage) as service:
                asyncio.run(_kill_jobs(service, count, account, moments))
                if last:
                    console.print(f"Waiting for {len(account.accepted)} accepted jobs …")
                    jobs, events = asyncio.run(_all_ended(service, account))
                else:
                    kill(pids_in_session(service.session))
        stored = _stored(storage)
    figures, details = _counted(kills, whole, account, jobs, events, stored)
    publish(console, "kills", figures, details)


async def _kill_jobs(service: Served, count: int, account: Account, moments: random.Random) -> None:
    async with _client(service) as client, _busy(client, account):
        for _ in range(count):
            await _going_on(client)
            await asyncio.sleep(moments.uniform(0, LONGEST_WAIT_S))
            killed = time.monotonic()
            kill(replicas(service.session, JOBS))
            await _going_on(client)
            account.recoveries_s.append(time.monotonic() - killed)
        await _going_on(client)
        await asyncio.sleep(moments.uniform(0, LONGEST_WAIT_S))


@asynccontextmanager
async def _busy(client: httpx.AsyncClient, account: Account) -> AsyncIterator[None]:
    """Keep some chains running or queued the whole time."""
    image = await _uploaded(client)

    async def submit() -> None:
        while True:
            try:
                listed = await client.get("/v1/jobs", params={"state": "running"})
                if listed.is_success and len(listed.json()["data"]) < AT_ONCE:
                    account.seeds += STEPS
                    answer = await client.post("/v1/jobs", json=_chain(image, account.seeds))
                    if answer.status_code == httpx.codes.ACCEPTED:
                        account.accepted.append(answer.json()["id"])
                    else:
                        account.refused += 1
            except httpx.TransportError:
                account.refused += 1
            await asyncio.sleep(0.2)

    submitting = asyncio.create_task(submit())
    try:
        yield
    finally:
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)


async def _going_on(client: httpx.AsyncClient) -> None:
    """Return once a denoising step of a job was seen."""
    while True:
        with suppress(httpx.HTTPError, KeyError, IndexError):
            running = (await client.get("/v1/jobs", params={"state": "running"})).json()["data"]
            path = running[-1]["links"]["events"]
            async with client.stream("GET", path) as stream:
                async for line in stream.aiter_lines():
                    if line == "event: progress":
                        return
        await asyncio.sleep(0.05)


async def _all_ended(
    service: Served, account: Account
) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Every accepted job in the end, and all kept events about its steps."""
    jobs, events = [], []
    async with _client(service) as client:
        for job_id in account.accepted:
            told: list[dict[str, Any]] = []
            async with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
                name = ""
                async for line in stream.aiter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: ") and name == "step":
                        told.append(json.loads(line.removeprefix("data: ")))
            answer = await client.get(f"/v1/jobs/{job_id}")
            if answer.is_success:
                jobs.append(answer.json())
                events.append(told)
    return jobs, events


def _stored(storage: Path) -> Counter[str]:
    """How many results there are for each edit that was asked for."""
    records = (json.loads(path.read_text()) for path in storage.glob("results/*/*.json"))
    return Counter(record["content_key"] for record in records)


def _counted(
    kills: int,
    whole: int,
    account: Account,
    jobs: list[dict[str, Any]],
    events: list[list[dict[str, Any]]],
    stored: Counter[str],
) -> tuple[list[Figure], dict[str, Any]]:
    lost = len(account.accepted) - sum(_done(job) for job in jobs)
    run_again = doubled = interrupted = 0
    for told in events:
        ended: set[int] = set()
        for event in told:
            index, state = event["index"], event["state"]
            run_again += state == "running" and index in ended
            interrupted += state == "running"
            if state in _ENDED:
                doubled += index in ended
                ended.add(index)
    steps = sum(len(job["steps"]) for job in jobs)
    interrupted -= steps
    results = [step["result"] for job in jobs for step in job["steps"]]
    doubled += len(results) - len(set(results))
    beside = f"of {len(account.accepted)} accepted chains of {STEPS} steps"
    figures = [
        Figure(
            f"jobs lost in {kills} deaths, {whole} of all at once", lost, "jobs", Target(0), beside
        ),
        Figure("ended steps run again", run_again, "steps", Target(0), f"of {steps}"),
        Figure("steps with two results", doubled, "steps", Target(0), f"of {steps}"),
        Figure("steps interrupted and run once more", interrupted, "steps"),
        Figure(
            "from a death to the next denoising step, p50",
            statistics.median(account.recoveries_s),
            "s",
            compared_with=f"longest {max(account.recoveries_s):.1f} s",
        ),
    ]
    details = {
        "refused_submissions": account.refused,
        "results_made_twice_because_of_a_death": sum(count > 1 for count in stored.values()),
        "recoveries_s": account.recoveries_s,
    }
    return figures, details


def _done(job: dict[str, Any]) -> bool:
    """Whether all steps of a job were carried out; that a verdict may reject is no loss."""
    return all(
        step["state"] == "succeeded" or (step["error"] or {}).get("code") == "edit_rejected"
        for step in job["steps"]
    )


def _client(service: Served) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{HOST}:{service.port}", timeout=60)


def _chain(image: str, seed: int) -> dict[str, Any]:
    step = {
        "prompt": "make it night",
        "num_inference_steps": DENOISING_STEPS,
        "max_attempts": 1,
    }
    steps = [{**step, "seed": seed + number} for number in range(STEPS)]
    # Verdicts are not what is counted here: a rejected step would end the chain.
    return {"kind": "chain", "image": image, "steps": steps, "on_failure": "skip"}


async def _uploaded(client: httpx.AsyncClient) -> str:
    files = {"file": ("a.jpg", jpeg(0, SIDE), "image/jpeg")}
    return str((await client.post("/v1/files", files=files)).json()["id"])


if __name__ == "__main__":
    typer.run(main)
