"""A caller who lets everything happen that is counted, and reads what a scrape says of it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Service, encoded, photo

PICTURE = encoded(photo("coffee", (64, 64)))
CANARY = "kanarienvogel"
"""In everything that a user may write, and in nothing that is kept for operators."""

_SEEDS = itertools.count(600)
"""Of edits that have to be made."""

OFTEN_S = 0.25
SETTLED_S = 3.0
"""Replicas pass on what they counted every second: what has not changed for so long is all."""

PATIENCE_S = 240.0
"""Far above what a count needs to get into a scrape, on a busy machine."""


@dataclass(frozen=True)
class Scrape:
    """The samples of one scrape: name, labels, value."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    @classmethod
    def of(cls, text: str) -> Scrape:
        families = text_string_to_metric_families(text)
        return cls(tuple((it.name, it.labels, it.value) for one in families for it in one.samples))

    @property
    def names(self) -> set[str]:
        return {name for name, _, _ in self.samples}

    @property
    def counts(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """What the service has counted, by series."""
        return {
            (name, frozenset(labels.items())): value
            for name, labels, value in self.samples
            if name.startswith("ray_qwen_edit_") and name.endswith(("_total", "_count"))
        }

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the service's metric ``name`` over all series with these labels."""
        return sum(
            value
            for found, has, value in self.samples
            if found == f"ray_{name}" and labels.items() <= has.items()
        )


class Caller:
    """A client, and the metrics as they are after what it did."""

    def __init__(self, service: Service, http: httpx.AsyncClient) -> None:
        self._service = service
        self.http = http

    async def edit(self, **fields: str) -> httpx.Response:
        return await self.http.post(
            "/v1/images/edits",
            files={"image": (f"{CANARY}.png", PICTURE, "image/png")},
            data={
                "prompt": f"paint a {CANARY} beside the cup",
                "num_inference_steps": "2",
                "max_attempts": "1",
                **fields,
            },
        )

    async def scrape(self, wanted: Callable[[Scrape], bool] = lambda _: True) -> Scrape:
        """The first scrape that is ``wanted``: what was counted takes seconds to get there."""
        until = time.monotonic() + PATIENCE_S
        while True:
            found = Scrape.of((await self.http.get(self._service.metrics_url)).text)
            if wanted(found):
                return found
            assert time.monotonic() < until, sorted(found.names)
            await asyncio.sleep(OFTEN_S)

    async def settled(self) -> Scrape:
        """A scrape with all that was done before."""
        found, since = await self.scrape(), time.monotonic()
        while time.monotonic() - since < SETTLED_S:
            await asyncio.sleep(OFTEN_S)
            latest = await self.scrape()
            if latest.counts != found.counts:
                found, since = latest, time.monotonic()
        return found


async def trouble(caller: Caller) -> None:
    """Let everything that is counted happen at least once."""
    late = await caller.edit(seed="510", num_inference_steps="20000", deadline_s="1")
    assert late.json()["error"]["code"] == "deadline_exceeded"
    # Two want the same edit. The one that makes it leaves, and so does at last the other.
    same = {"seed": "511", "num_inference_steps": "20000"}
    before = await caller.scrape()
    first = asyncio.create_task(caller.edit(**same))
    await caller.scrape(lambda scrape: scrape.sum("qwen_edit_flights") >= 1)
    second = asyncio.create_task(caller.edit(**same))
    await caller.scrape(lambda scrape: scrape.sum("qwen_edit_flight_waiting") >= 1)
    first.cancel()
    name = "qwen_edit_flight_handovers_total"
    await caller.scrape(lambda scrape: scrape.sum(name) > before.sum(name))
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    seed = str(next(_SEEDS))
    # Of several who want the same edit at once, one makes it and the others join.
    alike = await asyncio.gather(
        *(caller.edit(seed=seed, num_inference_steps="80") for _ in range(8))
    )
    assert "joined" in {answer.headers["x-edit-cache"] for answer in alike}
    # The miniature can't write, which a check sees, and the edit is tried again.
    again = await caller.edit(
        edit_type="text", expected_text=CANARY, prompt=f'write "{CANARY}"', max_attempts="2"
    )
    assert (again.headers["x-edit-verdict"], again.headers["x-edit-attempts"]) == ("fail", "2")
