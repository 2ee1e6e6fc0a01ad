"""Saved workflows and brand sets on the served graph."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, Service, decoded

pytestmark = pytest.mark.cluster

WORKFLOW: dict[str, Any] = {
    "description": "One scene in two moods, for the web.",
    "parameters": {
        "image": {"type": "image"},
        "mood": {"type": "string", "choices": ["night", "sepia"]},
        "width": {"type": "integer", "default": 96, "minimum": 32},
    },
    "job": {
        "kind": "brand_set",
        "image": "${image}",
        "brand": {"colors": ["#1E3C78"]},
        "variations": [
            {"name": "mood", "prompt": "make it ${mood}"},
            {"name": "tidy", "prompt": "remove the yellow square"},
        ],
        "targets": [
            {"name": "square", "width": "${width}", "height": 96},
            {"name": "wide", "platform": "web", "width": 192, "height": 96},
        ],
    },
}


@pytest.fixture
def client(service: Service) -> httpx.Client:
    return httpx.Client(base_url=service.url, timeout=120)


def test_a_saved_brand_set_is_run_with_its_parameters(client: httpx.Client) -> None:
    with client:
        saved = client.put("/v1/workflows/moods", json=WORKFLOW)
        assert saved.status_code == 201, saved.text
        pair = (ROOT / "serve_app" / "samples" / "pair.png").read_bytes()
        run = {"parameters": {"image": "@pair", "mood": "night"}}
        job = client.post(
            "/v1/workflows/moods/run",
            files={"pair": ("pair.png", pair), "run": (None, httpx.Response(200, json=run).text)},
        )
        assert job.status_code == 202, job.text
        links = job.json()["links"]
        assert "event: state" in client.get(links["events"]).text
        ended = client.get(links["self"]).json()
        assert ended["state"] == "succeeded", ended
        assert len(ended["steps"]) == 4
        archive = client.get(ended["outputs"]["archive"]).content
        manifest = client.get(ended["outputs"]["manifest"]).json()
        with zipfile.ZipFile(io.BytesIO(archive)) as unpacked:
            for output in manifest["outputs"]:
                picture = decoded(unpacked.read(output["name"]))
                assert picture.shape == (output["height"], output["width"], 3)
        assert (
            len(manifest["outputs"])
            + sum(len(missing["targets"]) for missing in manifest["missing"])
            == 4
        )
        wrong = client.post("/v1/workflows/moods/run", json={"parameters": {"mood": "noon"}})
        assert wrong.status_code == 400
        assert client.delete("/v1/workflows/moods").status_code == 204


def test_a_brief_comes_back_as_a_job_that_is_accepted(client: httpx.Client) -> None:
    with client:
        pair = (ROOT / "serve_app" / "samples" / "pair.png").read_bytes()
        image = client.post("/v1/files", files={"file": ("pair.png", pair)}).json()["id"]
        brief = {"brief": "First remove the yellow square, then make it night.", "image": image}
        proposal = client.post("/v1/plan", json=brief).json()
        assert proposal["kind"] == "chain"
        job = client.post("/v1/jobs", json=proposal["specification"])
        assert job.status_code == 202, job.text
        client.get(job.json()["links"]["events"])
        ended = client.get(job.json()["links"]["self"]).json()
        assert ended["steps"][0]["drift"] is not None
        sheet = client.get(ended["outputs"]["contact_sheet"])
        assert sheet.headers["content-type"] == "image/png"
