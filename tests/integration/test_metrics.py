"""What a scrape of the running service says, and that neither it nor any log quotes users."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

from serve_app.monitoring.metrics import METRICS, Kind
from tests.cluster.expressions import expressions, metrics_of
from tests.conftest import Service
from tests.integration.scraping import CANARY, OFTEN_S, PICTURE, Caller, Scrape, trouble

pytestmark = pytest.mark.cluster

NEEDS_A_GPU = {"ray_node_gpus_utilization"}
"""In the dashboard, but in a scrape only where there is one; Ray's own table has to know them."""


@pytest.fixture
async def caller(service: Service) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as http:
        yield Caller(service, http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def troubled(service: Service) -> None:
    """Everything that is counted has happened."""
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as http:
        await trouble(Caller(service, http))


def lines(logs: Path, deployment: str) -> Iterator[dict[str, Any]]:
    """The lines of all replicas of ``deployment``."""
    for file in logs.glob(f"serve/replica_qwen-edit_{deployment}_*.log"):
        yield from map(json.loads, file.read_text().splitlines())


async def test_an_edit_is_counted_on_its_whole_way(caller: Caller) -> None:
    before = await caller.settled()
    answers = [await caller.edit(seed=seed) for seed in ("501", "502", "502")]
    assert [answer.headers["x-edit-cache"] for answer in answers] == ["miss", "miss", "hit"]

    def more(name: str, **labels: str) -> Callable[[Scrape], float]:
        return lambda scrape: scrape.sum(name, **labels) - before.sum(name, **labels)

    edits, near = "qwen_edit_edits_total", "qwen_edit_cache_lookups_total"
    expected = {
        more("qwen_edit_http_requests_total", status_class="2xx"): 3,
        more(edits, cache="miss"): 2,
        more(edits, cache="hit"): 1,
        more("qwen_edit_edit_seconds_count"): 3,
        more("qwen_edit_attempts_count"): 2,
        more("qwen_edit_attempts_sum"): 2,
        more(near, tier="near", outcome="hit"): 1,
        more(near, tier="near", outcome="miss"): 2,
        more(near, tier="shared", outcome="miss"): 2,
        **{
            more("qwen_edit_stage_seconds_count", stage=stage): 2
            for stage in ("queue", "encode", "denoise", "decode", "validate", "store")
        },
        more("qwen_edit_step_seconds_count", requests="1"): 4,
        more("qwen_edit_batch_occupancy_ratio_sum"): 4 / 8,
        more("qwen_edit_steps_total"): 4,
    }
    after = await caller.scrape(
        lambda scrape: all(of(scrape) >= count for of, count in expected.items())
    )
    assert [of(after) for of in expected] == pytest.approx(list(expected.values()))
    assert after.sum("qwen_edit_editor_warm") == 1
    assert after.sum("qwen_edit_device_memory_bytes", device="cpu", kind="allocated") > 2**20


@pytest.mark.usefixtures("troubled")
async def test_every_metric_of_dashboard_and_alerts_is_in_a_scrape(caller: Caller) -> None:
    ours = set().union(*(metric.exported for metric in METRICS))
    asked = set().union(*(metrics_of(expression) for expression in expressions()))
    asked -= NEEDS_A_GPU | {"up"}  # Prometheus' own
    assert {name.removeprefix("ray_") for name in NEEDS_A_GPU} <= METRICS_GAUGES.keys()
    found = await caller.scrape(lambda scrape: (ours | asked) <= scrape.names)
    labels = {metric.name: set(metric.labels) for metric in METRICS}
    serve = {"application", "deployment", "replica"}
    for name, has, _ in found.samples:
        if metric := next((it for it in METRICS if name in it.exported), None):
            assert labels[metric.name] | serve <= has.keys(), name
            assert has["application"] in ("qwen-edit", "shards")  # what tests run beside it
            assert (metric.kind is Kind.COUNTER) == name.endswith("_total")


@pytest.mark.usefixtures("troubled")
async def test_what_users_write_is_in_no_log_and_no_metric(
    caller: Caller, service: Service
) -> None:
    http, question = caller.http, f"?prompt={CANARY}&{CANARY}=1"
    written = {"negative_prompt": CANARY, "user": CANARY, "expected_text": CANARY}
    assert (await caller.edit(seed="520", edit_type="text", **written)).status_code == 200
    for wrong in (
        {CANARY: "1"},
        {"seed": CANARY},
        {"edit_type": CANARY},
        {"lora": json.dumps({"name": CANARY})},
        {"prompt": f"{CANARY} <|image_pad|>"},
        {"prompt": CANARY * 400},
    ):
        assert 400 <= (await caller.edit(**wrong)).status_code < 500, wrong
    not_an_image = {"image": (f"{CANARY}.png", CANARY.encode(), "image/png")}
    await http.post(f"/v1/images/edits{question}", files=not_an_image, data={"prompt": CANARY})
    await http.post("/v1/images/edits", content=f'{{"prompt": "{CANARY}')
    for path in (f"/v1/results/{CANARY}", f"/v1/jobs/{CANARY}", f"/{CANARY}", f"/{question}"):
        await http.get(path)
    file_id = (await http.post("/v1/files", files={"file": (CANARY, PICTURE)})).json()["id"]
    job = {"kind": "edit", "image": file_id, "prompt": f"paint a {CANARY}", "max_attempts": 1}
    key = {"idempotency-key": CANARY, "authorization": f"Bearer {CANARY}"}
    failing = {**job, "prompt": f"{CANARY} <|image_pad|>"}
    for body, headers in ((job, key), (failing, {})):
        submitted = await http.post("/v1/jobs", json=body, headers=headers)
        assert submitted.status_code == 202
        await ended(http, submitted.json()["id"])

    scrape = (await http.get(service.metrics_url)).text
    assert CANARY not in scrape
    files = [file for file in service.logs.rglob("*") if file.is_file()]
    assert any("Ingress" in file.name for file in files)
    assert not [file for file in files if CANARY.encode() in file.read_bytes()]


async def ended(http: httpx.AsyncClient, job_id: str) -> None:
    while (await http.get(f"/v1/jobs/{job_id}")).json()["state"] in ("queued", "running"):
        await asyncio.sleep(OFTEN_S)


async def test_lines_of_the_log_tell_what_request_and_edit_they_are_of(
    caller: Caller, service: Service
) -> None:
    caller.http.headers["x-request-id"] = "request-of-a-test"
    answer = await caller.edit(seed="530")
    refused = await caller.edit(seed="531", deadline_s="0.001")
    assert refused.status_code == 504
    assert answer.headers["x-request-id"] == "request-of-a-test"
    for deployment in ("Ingress", "Router", "Editor", "Validator", "Cache"):
        of_the_request = [
            line
            for line in lines(service.logs, deployment)
            if line.get("request_id") == "request-of-a-test"
        ]
        assert of_the_request, deployment
    edits = [
        line
        for line in lines(service.logs, "Ingress")
        if line.get("request_id") == "request-of-a-test" and "edit" in line
    ]
    assert [line["edit"] for line in edits] == ["answered", "failed"]
    assert edits[0]["edit_id"] == answer.headers["x-edit-id"]
    assert edits[0]["verdict"] == answer.headers["x-edit-verdict"]
    assert (edits[0]["cache"], edits[0]["attempts"]) == ("miss", 1)
    assert edits[0]["seconds"] > 0
    assert edits[1]["code"] == "deadline_exceeded"
