"""``POST /v1/ab-tests/analyze``: counts in, verdict and figures out, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.api.conftest import Surface, check_error

ROUTE = "/v1/ab-tests/analyze"
BAD, MISSING, UNKNOWN = "invalid_value", "missing_field", "unknown_field"
FULL = {"impressions": 12_000, "clicks": 900, "engagements": 700, "users": 10_000}

Json = dict[str, Any]


def body(a: Json | None = None, b: Json | None = None, **fields: Any) -> Json:
    """Two variants with 500 and 600 conversions of 10,000 users, changed as given."""
    variants = {
        "A": {**FULL, "conversions": 500, **(a or {})},
        "B": {**FULL, "conversions": 600, **(b or {})},
    }
    return {"variants": variants, "control": "A", "metric": "conversions", **fields}


async def analyse(surface: Surface, values: Any) -> httpx.Response:
    content = values if isinstance(values, str) else json.dumps(values)
    headers = {"content-type": "application/json"}
    return await surface.client.post(ROUTE, content=content, headers=headers)


async def analysed(surface: Surface, values: Json) -> Json:
    response = await analyse(surface, values)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


async def test_a_winner_is_told_with_its_figures(surface: Surface) -> None:
    answer = await analysed(surface, body())
    assert (answer["verdict"], answer["winner"]) == ("winner", "B")
    assert answer["recommendation"].startswith("Choose B over A")
    assert answer["needed_per_variant"] == 8_143
    assert answer["unit"] == "users"
    assert answer["rates"]["B"]["rate"] == 0.06
    (compared,) = answer["comparisons"]
    assert compared["variant"] == "B"
    assert compared["difference"] == pytest.approx(0.01)
    assert compared["p_corrected"] == pytest.approx(0.0019246872509622)
    assert answer["p_best"].keys() == answer["expected_loss"].keys() == {"A", "B"}
    assert answer["sample_ratio"]["passed"]
    assert answer["caveats"] == []
    assert "picture" not in answer
    assert answer["variants"] == body()["variants"]
    made = datetime.fromisoformat(answer["created_at"])
    assert abs((datetime.now(UTC) - made).total_seconds()) < 60


async def test_only_the_counts_needed_are_needed(surface: Surface) -> None:
    variants = {"A": {"impressions": 10_000, "clicks": 500}, "B": {"impressions": 10_000}}
    variants["B"]["clicks"] = 510
    values = {"variants": variants, "control": "B", "metric": "clicks"}
    answer = await analysed(surface, values)
    assert (answer["verdict"], answer["unit"]) == ("no_difference_detected", "impressions")
    assert "repeated views" in answer["caveats"][0]
    of_users = {"A": {"users": 100, "conversions": 5}, "B": {"users": 100, "conversions": 9}}
    answer = await analysed(surface, {"variants": of_users, "control": "A"})
    assert (answer["verdict"], answer["metric"]) == ("insufficient_data", "conversions")


async def test_a_broken_split_is_no_test(surface: Surface) -> None:
    answer = await analysed(surface, body(b={"users": 11_000}))
    assert (answer["verdict"], answer["winner"]) == ("srm_failed", None)
    assert (answer["comparisons"], answer["p_best"], answer["omnibus_p"]) == ([], {}, None)
    planned = body(b={"users": 11_000}, allocation={"A": 10, "B": 11})
    assert (await analysed(surface, planned))["verdict"] == "leading"


async def test_the_plan_can_be_given(surface: Surface) -> None:
    plan = {"minimum_effect": 0.1, "baseline": 0.05, "power": 0.8, "significance": 0.05}
    answer = await analysed(surface, body(**plan))
    assert answer["needed_per_variant"] == 31_218
    assert answer["verdict"] == "insufficient_data"
    assert answer["sample_size"]["missing"] == {"A": 21_218, "B": 21_218}


async def test_a_picture_comes_beside_it(surface: Surface) -> None:
    answer = await analysed(surface, body(picture=True))
    with Image.open(io.BytesIO(base64.b64decode(answer["picture"]["b64_json"]))) as picture:
        assert picture.format == "PNG"


async def test_of_what_is_not_the_metric_a_user_may_have_many(surface: Surface) -> None:
    answer = await analysed(surface, body(a={"clicks": 11_500}))
    assert answer["verdict"] == "winner"


async def test_one_impression_may_bring_several_engagements(surface: Surface) -> None:
    values = body(
        b={"engagements": 30_000, "conversions": 20_000, "clicks": 1_000}, metric="clicks"
    )
    assert (await analysed(surface, values))["metric"] == "clicks"


async def test_no_editor_is_needed(surface: Surface) -> None:
    surface.service.warm = False
    assert (await analyse(surface, body())).status_code == 200


def renamed(name: str) -> Json:
    values = body()
    values["variants"][name] = values["variants"].pop("B")
    return values


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        (body() | {"variants": None}, MISSING, "variants"),
        (body() | {"variants": []}, BAD, "variants"),
        (body() | {"variants": {"A": body()["variants"]["A"]}}, BAD, "variants"),
        (body() | {"variants": {"A": FULL, "B": 3}}, BAD, "variants.B"),
        (renamed("B b"), BAD, "variants.B b"),
        (renamed(""), BAD, "variants."),
        (body() | {"control": None}, MISSING, "control"),
        (body(control="C"), BAD, "control"),
        (body(control=1), BAD, "control"),
        (body(metric="sales"), BAD, "metric"),
        (body(b={"conversions": -1}), BAD, "variants.B.conversions"),
        (body(b={"clicks": 1.5}), BAD, "variants.B.clicks"),
        (body(b={"clicks": True}), BAD, "variants.B.clicks"),
        (body(b={"clicks": "12"}), BAD, "variants.B.clicks"),
        (body(b={"clicks": 10**12 + 1}), BAD, "variants.B.clicks"),
        (body(b={"clicks": 10**400}), BAD, "variants.B.clicks"),
        (body(b={"sales": 1}), UNKNOWN, "variants.B.sales"),
        (body(b={"clicks": 12_001}), BAD, "variants.B.clicks"),
        (
            body({"users": None}, {"users": None, "engagements": 12_001}, metric="engagements"),
            BAD,
            "variants.B.engagements",
        ),
        (body(b={"engagements": 10_001}, metric="engagements"), BAD, "variants.B.engagements"),
        (body(b={"conversions": 10_001}), BAD, "variants.B.conversions"),
        (body(b={"conversions": None}), MISSING, "variants.B.conversions"),
        (body(b={"users": None}), MISSING, "variants.B.users"),
        (body(b={"users": 0}), BAD, "variants.B.users"),
        (body(b={"impressions": 0}), BAD, "variants.B.impressions"),
        (
            body(a={"users": None}, b={"users": None, "impressions": None}),
            MISSING,
            "variants.B.impressions",
        ),
        (body(minimum_effect=0), BAD, "minimum_effect"),
        (body(minimum_effect=True), BAD, "minimum_effect"),
        (body(baseline=1), BAD, "baseline"),
        (body(power=1), BAD, "power"),
        (body(significance=0), BAD, "significance"),
        (body(allocation={"A": 1}), BAD, "allocation"),
        (body(allocation={"A": 1, "B": 1, "C": 1}), BAD, "allocation"),
        (body(allocation={"A": 1, "B": 0}), BAD, "allocation.B"),
        (body(allocation={"A": 1, "B": "1"}), BAD, "allocation.B"),
        (body(allocation={"A": 1, "B": True}), BAD, "allocation.B"),
        (body(allocation={"A": 1, "B": 10**400}), BAD, "allocation.B"),
        (body(picture="yes"), BAD, "picture"),
        (body(winner="B"), UNKNOWN, "winner"),
    ],
)
async def test_what_cannot_be_used_is_refused_by_its_path(
    surface: Surface, values: Json, code: str, param: str
) -> None:
    check_error(await analyse(surface, values), 400, code, param)


async def test_more_variants_than_can_be_told_apart_are_refused(surface: Surface) -> None:
    variants = {f"v{i}": FULL | {"conversions": 1} for i in range(51)}
    values = {"variants": variants, "control": "v0"}
    check_error(await analyse(surface, values), 400, BAD, "variants")


async def test_a_name_that_comes_twice_is_refused(surface: Surface) -> None:
    twice = '{"control": "A", "variants": {"A": {}, "B": {}, "A": {}}}'
    check_error(await analyse(surface, twice), 400, BAD, "A")


@pytest.mark.parametrize("count", ["NaN", "Infinity", "-Infinity"])
async def test_what_is_no_number_is_no_json(surface: Surface, count: str) -> None:
    text = json.dumps(body()).replace("600", count)
    check_error(await analyse(surface, text), 400, BAD)


@pytest.mark.parametrize("job", ["job-1", "", f"job-{'0' * 32}"])
async def test_a_job_must_be_there(surface: Surface, job: str) -> None:
    response = await analyse(surface, body(job=job))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


async def test_the_documentation_names_every_field(surface: Surface) -> None:
    operation = (await surface.client.get("/openapi.json")).json()["paths"][ROUTE]["post"]
    (content,) = operation["requestBody"]["content"].values()
    schema = content["schema"]
    assert schema["required"] == ["variants", "control"]
    assert {
        *("variants", "control", "metric", "minimum_effect", "baseline", "power"),
        *("significance", "allocation", "job", "picture"),
    } == schema["properties"].keys()
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"].keys() == (await analysed(surface, body(picture=True))).keys()
    for example in content["examples"].values():
        assert (await analyse(surface, example["value"])).status_code == 200
