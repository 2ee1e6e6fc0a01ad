"""Plans: what is decided for a request, and what makes two requests the same edit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config import ModelConfig, PlanningConfig, QualityConfig, ServiceConfig
from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.content_key import attempt_seed, normalise_prompt
from serve_app.edits.model import AdapterDescription, FewStepDrafts, ModelDescription
from serve_app.edits.planning import EditPlan, Planner
from serve_app.edits.request import CachePolicy, EditRequest, EditType, ExactSize, LoraUse, Quality
from serve_app.edits.text_targets import TextTargets
from serve_app.errors import UnusableAdapter
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage

ADAPTERS = (AdapterDescription("ink", "rev-a", 10), AdapterDescription("oil", "rev-b", 10))
MODEL = ModelDescription(
    "model", "qwen-image-edit-plus", "rev-1", False, 4, "bfloat16", "cuda", ADAPTERS
)

FIRST = AttemptPlan(1, 7, "make it blue", 4.5, 50)


def picture(value: int) -> DecodedImage:
    return DecodedImage.of(np.full((40, 40, 3), value, dtype=np.uint8))


def mask(rows: int) -> EditMask:
    return EditMask.of(np.arange(40)[:, None].repeat(40, axis=1) < rows)


REQUEST = EditRequest((picture(1), picture(2)), "make it blue", EditType.APPEARANCE)


def plan(request: EditRequest, config: ServiceConfig | None = None) -> EditPlan:
    return Planner(config or ServiceConfig(), MODEL).plan(request)


@pytest.mark.parametrize(
    ("edit_type", "scale", "steps"),
    [
        (EditType.SEMANTIC, 3.5, 50),
        (EditType.APPEARANCE, 4.5, 50),
        (EditType.TEXT, 4.0, 75),
        (EditType.HYBRID, 4.0, 50),
    ],
)
def test_each_edit_type_brings_its_parameters(
    edit_type: EditType, scale: float, steps: int
) -> None:
    planned = plan(replace(REQUEST, edit_type=edit_type))
    assert (planned.true_cfg_scale, planned.num_inference_steps) == (scale, steps)
    assert planned.negative_prompt == " "


def test_the_request_wins_over_the_few_step_setting_and_that_over_the_type() -> None:
    few = ServiceConfig(planning=PlanningConfig(true_cfg_scale=1.0, num_inference_steps=4))
    assert plan(REQUEST, few).num_inference_steps == 4
    assert plan(REQUEST, few).true_cfg_scale == 1.0
    assert plan(replace(REQUEST, num_inference_steps=9), few).num_inference_steps == 9


def test_auto_says_why() -> None:
    planned = plan(replace(REQUEST, edit_type="auto", prompt="make it a Ghibli scene"))
    assert planned.edit_type is EditType.SEMANTIC
    assert planned.reason


def test_identical_requests_are_one_edit_with_one_seed() -> None:
    again = EditRequest((picture(1), picture(2)), "  make   it blue\n", EditType.APPEARANCE)
    assert plan(again).key == plan(REQUEST).key
    assert plan(again).seed == plan(REQUEST).seed


def test_naming_a_derived_seed_is_the_same_edit() -> None:
    planned = plan(REQUEST)
    assert plan(replace(REQUEST, seed=planned.seed)).key == planned.key


CHANGES: list[dict[str, Any]] = [
    {"images": (picture(2), picture(1))},
    {"images": (picture(1),)},
    {"prompt": "make it red"},
    {"edit_type": EditType.TEXT},
    {"negative_prompt": "blur"},
    {"true_cfg_scale": 2.0},
    {"num_inference_steps": 3},
    {"seed": 5},
    {"seed": "random"},
    {"size": ExactSize(64, 64)},
    {"size": "native"},
    {"max_attempts": 1},
    {"variation": 1},
    {"mask": mask(3)},
    {"mask": mask(4)},
    {"lora": LoraUse("ink")},
    {"lora": LoraUse("ink", 0.5)},
    {"lora": LoraUse("oil")},
    {"mask": mask(3), "lora": LoraUse("ink")},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_changes_the_picture_changes_the_key(change: dict[str, Any]) -> None:
    assert plan(replace(REQUEST, **change)).key != plan(REQUEST).key


def test_no_two_changes_have_one_key() -> None:
    keys = {plan(replace(REQUEST, **change)).key for change in CHANGES}
    assert len(keys) == len(CHANGES)


@pytest.mark.parametrize(
    "how",
    [{"cache": CachePolicy.REFRESH}, {"priority": 9}, {"deadline_s": 3.0}, {"user": "studio-4"}],
    ids=str,
)
def test_how_it_is_run_does_not_change_the_key(how: dict[str, Any]) -> None:
    assert plan(replace(REQUEST, **how)).key == plan(REQUEST).key
    assert plan(replace(REQUEST, **how)).seed == plan(REQUEST).seed


def test_equal_masks_are_one_mask() -> None:
    again = replace(REQUEST, mask=mask(3), lora=LoraUse("ink", 1))
    assert plan(again).key == plan(replace(REQUEST, mask=mask(3), lora=LoraUse("ink"))).key


def test_an_adapters_new_weights_are_another_edit() -> None:
    request = replace(REQUEST, lora=LoraUse("ink"))
    newer = replace(MODEL, adapters=(AdapterDescription("ink", "rev-c", 10),))
    assert Planner(ServiceConfig(), newer).plan(request).key != plan(request).key
    other = replace(MODEL, adapters=ADAPTERS[:1])
    assert Planner(ServiceConfig(), other).plan(request).key == plan(request).key


def test_an_adapter_must_be_there() -> None:
    with pytest.raises(UnusableAdapter) as caught:
        plan(replace(REQUEST, lora=LoraUse("../ink")))
    assert (caught.value.status, caught.value.param) == (422, "lora")


@pytest.mark.parametrize(
    "config",
    [
        ServiceConfig(model=ModelConfig(vae_area=256 * 256)),
        ServiceConfig(quality=QualityConfig(collapse_std=9)),
    ],
)
def test_canvas_and_thresholds_are_part_of_the_key(config: ServiceConfig) -> None:
    assert plan(REQUEST, config).key != plan(REQUEST).key


def test_other_weights_are_another_edit() -> None:
    other = Planner(ServiceConfig(), replace(MODEL, revision="rev-2")).plan(REQUEST)
    assert other.key != plan(REQUEST).key


@given(seed=st.integers(0, 2**63 - 1))
def test_attempts_have_different_seeds_that_follow_from_the_first(seed: int) -> None:
    seeds = [attempt_seed(seed, attempt) for attempt in range(1, 5)]
    assert seeds[0] == seed
    assert len(set(seeds)) == 4
    assert seeds == [attempt_seed(seed, attempt) for attempt in range(1, 5)]


@given(text=st.text())
def test_normalising_a_prompt_twice_changes_nothing(text: str) -> None:
    once = normalise_prompt(text)
    assert normalise_prompt(once) == once


def test_a_job_carries_the_attempts_seed_and_the_pixels() -> None:
    planned = plan(replace(REQUEST, seed=3))
    attempt = AttemptPlan(2, planned.seed_of(2), "in other words", 5.0, 12, few_step=True)
    job = planned.job(attempt, partial_images=1)
    assert job.seed == attempt_seed(3, 2)
    assert (job.prompt, job.true_cfg_scale, job.num_inference_steps) == ("in other words", 5.0, 12)
    assert job.few_step
    assert job.partial_images == 1
    assert (job.images[0] == REQUEST.images[0].pixels).all()


def test_a_job_carries_what_the_engine_schedules_by() -> None:
    free = mask(3)
    request = replace(
        REQUEST,
        mask=free,
        lora=LoraUse("ink", 0.5),
        priority=8,
        deadline_s=9.0,
        user="studio-4",
    )
    job = plan(request).job(FIRST, deadline_s=4.0)
    assert job.mask is free.editable
    assert job.lora == LoraUse("ink", 0.5, "rev-a")
    assert (job.priority, job.deadline_s, job.tenant) == (8, 4.0, "studio-4")
    assert job.subject_id == REQUEST.images[0].id
    assert plan(request).job(FIRST).deadline_s == 9.0
    plain = plan(REQUEST).job(FIRST)
    assert (plain.mask, plain.lora, plain.deadline_s) == (None, None, None)
    assert (plain.priority, plain.tenant) == (5, "")


def test_the_record_says_what_was_asked_and_which_weights_it_meant() -> None:
    request = replace(
        REQUEST,
        mask=mask(3),
        lora=LoraUse("oil", -1.0),
        priority=0,
        deadline_s=9.0,
        user="studio-4",
    )
    asked = request.to_json()
    assert asked["mask"] == mask(3).id
    assert asked["lora"] == {"name": "oil", "scale": -1.0}
    assert not {"priority", "deadline_s", "user"} & asked.keys()  # another may read it
    assert plan(request).to_json()["adapter"] == {"name": "oil", "revision": "rev-b"}
    left_out = {"mask", "lora", "priority", "deadline_s", "user"}
    assert left_out.isdisjoint(REQUEST.to_json())
    assert "adapter" not in plan(REQUEST).to_json()


DRAFTS = FewStepDrafts(4, 1.0)


def with_drafts(request: EditRequest, config: ServiceConfig | None = None) -> EditPlan:
    return Planner(config or ServiceConfig(), replace(MODEL, drafts=DRAFTS)).plan(request)


@pytest.mark.parametrize(
    ("quality", "attempts", "drafts"),
    [
        (None, 2, DRAFTS),
        (Quality.DRAFT, 1, DRAFTS),
        (Quality.STANDARD, 2, DRAFTS),
        (Quality.BEST, 4, None),
    ],
)
def test_quality_chooses_the_model_and_the_attempts(
    quality: Quality | None, attempts: int, drafts: FewStepDrafts | None
) -> None:
    planned = with_drafts(replace(REQUEST, quality=quality))
    assert (planned.max_attempts, planned.drafts) == (attempts, drafts)
    assert plan(replace(REQUEST, quality=quality)).drafts is None
    assert with_drafts(replace(REQUEST, quality=quality, max_attempts=3)).max_attempts == 3


@pytest.mark.parametrize("asked", [{"num_inference_steps": 9}, {"true_cfg_scale": 2.0}])
def test_who_sets_steps_or_guidance_gets_the_full_model(asked: dict[str, Any]) -> None:
    assert with_drafts(replace(REQUEST, **asked)).drafts is None


def test_another_way_to_the_kept_attempt_is_another_edit() -> None:
    keys = {
        with_drafts(replace(REQUEST, quality=quality, max_attempts=2)).key for quality in Quality
    }
    assert len(keys) == 3
    # Without drafts all three are the same.
    assert len({plan(replace(REQUEST, quality=it, max_attempts=2)).key for it in Quality}) == 1


def test_what_a_third_attempt_changes_is_part_of_the_key_of_those_who_may_have_one() -> None:
    bold = ServiceConfig(planning=PlanningConfig(guidance_step=2.0))
    twice, thrice = (replace(REQUEST, max_attempts=most) for most in (2, 3))
    assert plan(thrice, bold).key != plan(thrice).key
    assert plan(twice, bold).key == plan(twice).key


def test_the_words_of_an_edit_are_those_of_the_request_or_of_the_prompt() -> None:
    quoted = replace(REQUEST, prompt="change 'OPEN' to 'CLOSED'")
    assert plan(quoted).text == TextTargets("CLOSED", "OPEN")
    named = replace(quoted, expected_text="SHUT")
    assert plan(named).text == TextTargets("SHUT")
    assert plan(named).key != plan(quoted).key
    assert named.to_json()["expected_text"] == "SHUT"
