"""The samples edited over HTTP: the model in the box does what it is asked for."""

from __future__ import annotations

import base64

import httpx
import pytest

from serve_app.engine.miniature.samples import SAMPLES, SIDE
from serve_app.engine.miniature.scoring import score
from tests.conftest import ROOT, Service, decoded

pytestmark = pytest.mark.cluster

BEYOND = "make it a Ghibli scene"

# It enlarges worst, and words in Chinese on this sample depend on the seed: the benchmark says
# how often. These ten it does.
RELIABLE = tuple(name for name in SAMPLES if name not in {"seed", "cafe"})


def edit(service: Service, name: str, prompt: str) -> dict[str, object]:
    picture = (ROOT / "serve_app" / "samples" / f"{name}.png").read_bytes()
    answer = httpx.post(
        f"{service.url}/v1/images/edits",
        files={"image": (f"{name}.png", picture, "image/png")},
        data={"prompt": prompt},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    (edited,) = answer.json()["data"]
    return edited


@pytest.mark.parametrize("name", RELIABLE)
def test_a_sample_is_edited_as_asked(service: Service, name: str) -> None:
    pair = SAMPLES[name]
    edited = edit(service, name, pair.instruction)
    source, target = pair.pictures(SIDE)
    picture = decoded(base64.b64decode(str(edited["b64_json"])))
    assert edited["verdict"] == "pass_unverified"
    assert score(pair, source, picture, target).succeeded


def test_what_it_has_no_words_for_is_left_alone_and_told(service: Service) -> None:
    """Learned: an instruction beyond the vocabulary changes nothing, and the verdict says so."""
    edited = edit(service, "balloon", BEYOND)
    assert edited["verdict"] == "fail"
    record = httpx.get(f"{service.url}/v1/results/{edited['id']}/metadata").json()
    failed = [check["name"] for check in record["report"]["checks"] if check["status"] == "fail"]
    assert failed == ["no_op"]
    assert edited["attempts"] == record["plan"]["max_attempts"]


def test_the_service_says_what_its_model_edits(service: Service) -> None:
    (model,) = httpx.get(f"{service.url}/v1/models").json()["data"]
    assert model["miniature"] is True
    assert any("recolour" in what for what in model["edits"])
