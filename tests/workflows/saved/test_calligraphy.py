"""The example of three corrected characters, saved over HTTP and run by the real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from serve_app.api.app import create_app
from serve_app.images.compositing import dilated, feather_radius
from serve_app.images.decode_pool import DecodePool
from serve_app.images.encoding import encode
from serve_app.images.pixels import RGB, DecodedImage
from serve_app.monitoring.gpus import GpuReader
from serve_app.monitoring.machine import Machine
from serve_app.monitoring.monitor import ServiceMonitor
from serve_app.monitoring.reporter import Reporter
from serve_app.workflows.in_process import assemble
from tests.conftest import ROOT, decoded
from tests.workflows.jobs.conftest import Jobs, ended

NAME = "calligraphy"


@pytest.fixture
def workflow() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / f"configs/workflows/{NAME}.yaml").read_text())
    assert read.pop("name") == NAME
    return read


@asynccontextmanager
async def served(jobs: Jobs, service: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the real engine, in this process."""
    config = jobs.config
    monitor = ServiceMonitor(config.monitor, Machine(GpuReader()))
    decoder = DecodePool(config.limits)
    app = create_app(
        assemble(config, jobs.engine),
        service,
        workflows=service.workflows,
        monitor=monitor,
        reporter=Reporter(monitor, config.monitor),
        files=jobs.files,
        results=jobs.results,
        decoder=decoder,
        config=config,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://edits.test"
    ) as client:
        yield client
    await monitor.close()
    decoder.close()


def inside(box: list[int]) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)


async def picture(jobs: Jobs, result_id: str | None) -> RGB:
    png = await jobs.results.image(str(result_id))
    assert png is not None
    return decoded(png)


async def test_each_character_is_corrected_within_its_box(
    jobs: Jobs, workflow: dict[str, Any]
) -> None:
    original = decoded((ROOT / "serve_app/samples/sale.png").read_bytes())
    image = DecodedImage.of(original)
    await jobs.files.put(image.id, encode(original))
    async with jobs.running() as service, served(jobs, service) as client:
        saved = await client.put(f"/v1/workflows/{NAME}", json=workflow)
        assert saved.status_code == 201, saved.text
        asked = {"parameters": {"image": image.id}}
        run = await client.post(f"/v1/workflows/{NAME}/run", json=asked)
        assert run.status_code == 202, run.text
        job = await ended(service, run.json()["id"])
    assert job.state == "succeeded", job.error
    boxes = [workflow["parameters"][f"{name}_box"]["default"] for name in ("ji", "ting", "zhi")]
    before = original
    for step, box in zip(job.steps, boxes, strict=True):
        after = await picture(jobs, step.result)
        assert after.shape == original.shape
        changed = (after != before).any(axis=2)
        marked = np.zeros_like(changed)
        marked[inside(box)] = True
        assert changed[marked].mean() > 0.5
        assert not changed[~dilated(marked, feather_radius(64, 64))].any()
        before = after
    assert np.array_equal(before, await picture(jobs, job.result))
