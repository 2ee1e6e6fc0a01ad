"""Edits sent to a service while something happens to it, and what became of each."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.photos import jpeg

SIDE = 64
PROMPT = "make it night"
_LONGEST_S = 280.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the edit with ``seed``: status, error code if it failed, seconds, and the picture."""

    seed: int
    status: int
    code: str | None
    seconds: float
    began_at: float
    png: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """All answers, in the order of their seeds."""

    answers: list[Answer]

    @property
    def failed(self) -> dict[str, int]:
        """How many were not answered with an edit, by error code."""
        return dict(Counter(str(answer.code) for answer in self.answers if answer.status != 200))

    @property
    def seconds(self) -> list[float]:
        return sorted(answer.seconds for answer in self.answers)

    @property
    def slowest_s(self) -> float:
        return self.seconds[-1]

    @property
    def median_s(self) -> float:
        return self.seconds[len(self.answers) // 2]


Event = Callable[[], object]
"""What happens to the service; blocking, run in a thread."""


def send(
    url: str,
    seeds: range,
    *,
    at_once: int,
    steps: int,
    event: Event | None = None,
    after: int = 0,
    odd: dict[int, str] | None = None,
) -> Sent:
    """Send an edit for each of ``seeds``, ``at_once`` at a time, and wait for all answers.

    ``event`` happens when ``after`` of them have been answered; while it goes on, further edits
    are sent (with seeds beyond), so that none of its moments is without load. The edits of the
    seeds in ``odd`` have another prompt.
    """
    return asyncio.run(_send(url, seeds, at_once, steps, event, after, odd or {}))


async def _send(
    url: str,
    seeds: range,
    at_once: int,
    steps: int,
    event: Event | None,
    after: int,
    odd: dict[int, str],
) -> Sent:
    answers: list[Answer] = []
    happening: asyncio.Task[object] | None = None
    following = seeds.start

    async def client_loop(client: httpx.AsyncClient) -> None:
        nonlocal happening, following
        while following < seeds.stop or (happening is not None and not happening.done()):
            seed, following = following, following + 1
            answers.append(await _edit(client, seed, steps, odd.get(seed, PROMPT)))
            if event is not None and happening is None and len(answers) >= after:
                happening = asyncio.create_task(asyncio.to_thread(event))

    async with httpx.AsyncClient(base_url=url, timeout=_LONGEST_S, trust_env=False) as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(client_loop(client))
        if happening is not None:
            await happening
    return Sent(sorted(answers, key=lambda answer: answer.seed))


async def _edit(client: httpx.AsyncClient, seed: int, steps: int, prompt: str) -> Answer:
    began_at = time.monotonic()
    fields: dict[str, Any] = {
        "prompt": prompt,
        "seed": str(seed),
        "num_inference_steps": str(steps),
        "max_attempts": "1",
        "cache": "refresh",
    }
    files = {"image": ("photo.jpg", jpeg(seed % 8, SIDE))}
    try:
        response = await client.post("/v1/images/edits", data=fields, files=files)
    except httpx.HTTPError as error:
        return Answer(seed, 0, type(error).__name__, time.monotonic() - began_at, began_at, b"")
    seconds = time.monotonic() - began_at
    if response.status_code == 200:
        png = base64.b64decode(response.json()["data"][0]["b64_json"])
        return Answer(seed, 200, None, seconds, began_at, png)
    try:
        code = response.json()["error"]["code"]
    except (ValueError, KeyError):
        code = response.text[:80]
    return Answer(seed, response.status_code, code, seconds, began_at, b"")


def largest_difference(one: Sent, other: Sent) -> int:
    """The largest difference of any pixel, 0 to 255, between edits of the same seeds."""
    pictures = {answer.seed: answer.png for answer in other.answers if answer.png}
    differences = [
        int(np.abs(_pixels(answer.png) - _pixels(pictures[answer.seed])).max())
        for answer in one.answers
        if answer.png and answer.seed in pictures
    ]
    return max(differences)


def _pixels(png: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int16)
