"""Prometheus itself scrapes the running service, and answers what dashboard and alerts ask."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmarks.serving import free_port
from tests.cluster.expressions import MONITORING, alerts, panels
from tests.conftest import Service
from tests.integration.scraping import OFTEN_S, PATIENCE_S, Caller, trouble

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="Debian's package prometheus is not installed"
    ),
]

FIRING = 'ALERTS{alertstate="firing"}'


def configured(folder: Path, service: Service) -> Path:
    """The scrape configuration that is shipped, for the machine that the service runs on."""
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    (machines,) = (job for job in config["scrape_configs"] if job["job_name"] == "ray")
    target = httpx.URL(service.metrics_url).netloc.decode()
    machines["static_configs"] = [{"targets": [target]}]
    config["scrape_configs"] = [machines]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    shutil.copy(MONITORING / "alerts.yaml", folder)
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture
def address(service: Service, tmp_path: Path) -> Iterator[str]:
    """Where a Prometheus of this test answers."""
    port = free_port()
    arguments = [
        "prometheus",
        f"--config.file={configured(tmp_path, service)}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(arguments, cwd=tmp_path)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
async def prometheus(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        yield client


async def query(prometheus: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    answer = await prometheus.get("/api/v1/query", params={"query": expression})
    body = answer.json()
    assert body["status"] == "success", (expression, body)
    result: list[dict[str, Any]] = body["data"]["result"]
    return result


async def found(prometheus: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    """What ``expression`` gives as soon as it gives something."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if result := await query(prometheus, expression):
                return result
        except httpx.TransportError:
            pass  # it is starting
        assert time.monotonic() < until, expression
        await asyncio.sleep(OFTEN_S)


def needs_more(expression: str) -> bool:
    """Whether an expression says nothing here: it needs a GPU, or half an hour."""
    return "ray_node_gpus_utilization" in expression or "offset 30m" in expression


async def test_panels_show_something_and_alerts_can_be_asked(
    service: Service, prometheus: httpx.AsyncClient
) -> None:
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as http:
        caller = Caller(service, http)
        await trouble(caller)
        await found(prometheus, 'up{job="ray"} == 1')
        await caller.edit(seed="540")
        await caller.edit(seed="540")
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m")
            ask = query if needs_more(expression) else found
            await ask(prometheus, expression)
    for rule in alerts().values():
        await query(prometheus, rule["expr"])
    (warm,) = await found(prometheus, "sum(ray_qwen_edit_editor_warm)")
    assert warm["value"][1] == "1"
    (series,) = await found(prometheus, "ray_qwen_edit_editor_warm")
    assert not {"SessionName", "Version", "otel_scope_name"} & series["metric"].keys()
    assert not await query(prometheus, FIRING)
