"""The few-step adapter is part of the weights, with the schedule that it was made for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_shift
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.config import EngineConfig, FewStepConfig, ModelConfig
from serve_app.edits.job import EditJob
from serve_app.engine.engine import Engine
from serve_app.engine.few_step import LIGHTNING_SCHEDULER
from serve_app.engine.load import Checkpoint
from serve_app.engine.miniature.create import create_miniature
from serve_app.errors import ConfigurationError
from tests.engine.few_steps import SIDE, load
from tests.engine.lora_files import save_as_diffusers, save_bare, save_with_alphas, trained
from tests.engine.tasks import photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few_step") / "plus"
    create_miniature(folder)
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path) -> Checkpoint:
    return load(folder)


@pytest.fixture(scope="module")
def weights(plain: Checkpoint) -> dict[str, torch.Tensor]:
    return trained(plain.pipeline.transformer, 11)[0]


@pytest.fixture(scope="module")
def adapter(plain: Checkpoint, folder: Path) -> Path:
    path = folder.parent / "lightning.safetensors"
    save_as_diffusers(path, *trained(plain.pipeline.transformer, 11))
    return path


@pytest.fixture(scope="module")
def fused(folder: Path, adapter: Path) -> Checkpoint:
    return load(folder, few_step={"adapter": adapter})


@torch.no_grad()
def velocity(transformer: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    output: torch.Tensor = transformer(
        hidden_states=torch.randn(2, 32, 64, generator=generator),
        timestep=torch.tensor([0.5, 0.9]),
        encoder_hidden_states=torch.randn(2, 7, 64, generator=generator),
        img_shapes=[[(1, 4, 4), (1, 4, 4)]] * 2,
        return_dict=False,
    )[0]
    return output


# The weights


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_fused_is_what_the_injected_adapter_gives(
    folder: Path, adapter: Path, scale: float
) -> None:
    pipeline = load(folder).pipeline
    before = velocity(pipeline.transformer)
    pipeline.load_lora_weights(
        str(adapter.parent), weight_name=adapter.name, adapter_name="injected"
    )
    pipeline.set_adapters("injected", scale)
    expected = velocity(pipeline.transformer)
    got = velocity(load(folder, few_step={"adapter": adapter, "scale": scale}).pipeline.transformer)
    assert (expected - before).abs().max() > 0.1
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_one_layer_is_weight_plus_up_times_down(
    plain: Checkpoint, fused: Checkpoint, weights: dict[str, torch.Tensor]
) -> None:
    layer = "transformer_blocks.0.attn.to_q"
    down, up = (weights[f"{layer}.lora_{part}.weight"].double() for part in "AB")
    # peft's defaults of this file: alpha 8, rank 4.
    expected = plain.pipeline.transformer.get_submodule(layer).weight.double() + 8 / 4 * up @ down
    got = fused.pipeline.transformer.get_submodule(layer).weight.double()
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)


def test_no_trace_of_the_adapter_is_left_but_the_weights(
    plain: Checkpoint, fused: Checkpoint
) -> None:
    """Requests bring adapters of their own: there must be nothing to mix them with."""
    kinds = [
        [(name, type(module)) for name, module in each.pipeline.transformer.named_modules()]
        for each in (plain, fused)
    ]
    assert kinds[0] == kinds[1]
    assert fused.pipeline.get_list_adapters() == {}


def test_alphas_beside_the_weights_scale_them(
    folder: Path, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    """Published Lightning files have them: alpha 2 of rank 4 is half of alpha 4."""
    save_with_alphas(tmp_path / "half.safetensors", weights, 2.0)
    save_bare(tmp_path / "whole.safetensors", weights, "transformer.")
    half = load(folder, few_step={"adapter": tmp_path / "half.safetensors"})
    whole = load(folder, few_step={"adapter": tmp_path / "whole.safetensors", "scale": 0.5})
    torch.testing.assert_close(
        velocity(half.pipeline.transformer),
        velocity(whole.pipeline.transformer),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize(("kind", "tolerance"), [("int8", 0.1), ("float8", 0.5)])
def test_it_is_fused_before_the_weights_are_quantized(
    folder: Path, adapter: Path, plain: Checkpoint, fused: Checkpoint, kind: str, tolerance: float
) -> None:
    both = load(folder, few_step={"adapter": adapter}, memory={"quantization": kind})
    weight = both.pipeline.transformer.get_submodule("transformer_blocks.0.attn.to_q").weight
    assert weight.qdata.element_size() == 1
    expected, without = velocity(fused.pipeline.transformer), velocity(plain.pipeline.transformer)
    error = (velocity(both.pipeline.transformer) - expected).abs().max()
    assert error < tolerance * (expected - without).abs().max()


def test_its_digest_and_scale_are_part_of_the_revision(
    folder: Path, adapter: Path, tmp_path: Path, plain: Checkpoint, fused: Checkpoint
) -> None:
    other = tmp_path / "other.safetensors"
    save_as_diffusers(other, *trained(plain.pipeline.transformer, 12))
    changes = (
        {"adapter": other},
        {"adapter": adapter, "scale": 0.5},
        {"adapter": adapter, "scheduler": "checkpoint"},
    )
    revisions = [load(folder, few_step=each).description.revision for each in changes]
    revisions += [plain.description.revision, fused.description.revision]
    assert len(set(revisions)) == len(revisions)
    assert fused.description.revision.startswith(plain.description.revision)
    again = load(folder, few_step={"adapter": adapter}).description.revision
    assert again == fused.description.revision
    assert not any("lightning.safetensors" in revision for revision in revisions)


# The schedule


@given(steps=st.integers(1, 16))
def test_sigmas_are_shifted_by_three(steps: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING_SCHEDULER)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=math.log(3))
    straight = [1 - i / steps for i in range(steps)]
    expected = [3 * sigma / (1 + 2 * sigma) for sigma in straight] + [0.0]
    np.testing.assert_allclose(scheduler.sigmas.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("tokens", [16, 256, 4096, 8192])
def test_the_shift_is_the_same_at_every_size(tokens: int) -> None:
    settings = LIGHTNING_SCHEDULER
    shift = calculate_shift(
        tokens,
        settings["base_image_seq_len"],
        settings["max_image_seq_len"],
        settings["base_shift"],
        settings["max_shift"],
    )
    assert math.exp(shift) == pytest.approx(3)


def test_the_scheduler_is_set_unless_the_checkpoints_is_wanted(
    folder: Path, adapter: Path, plain: Checkpoint, fused: Checkpoint
) -> None:
    assert fused.pipeline.scheduler.config.shift_terminal is None
    few_step = {"adapter": adapter, "scheduler": "checkpoint"}
    kept = load(folder, few_step=few_step).pipeline.scheduler.config
    assert dict(kept) == dict(plain.pipeline.scheduler.config)


async def test_four_steps_without_guidance_edit(fused: Checkpoint, plain: Checkpoint) -> None:
    results = []
    for checkpoint in (fused, plain):
        engine = Engine(checkpoint, EngineConfig(max_batch_size=1))
        try:
            job = EditJob((photo(1, SIDE, SIDE),), "let it snow", " ", 1.0, 4, 5)
            edited = await engine.edit(job)
        finally:
            engine.close()
        assert edited.finite
        results.append(edited.pixels.astype(int))
    assert np.abs(results[0] - results[1]).max() > 5


# Refused


def refused(folder: Path, file: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(folder, few_step={"adapter": file})
    assert refusal.value.param == "model.few_step.adapter"
    assert file.stem not in refusal.value.message


def test_a_missing_or_broken_file_is_refused(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "secret.safetensors"
    refused(folder, file)
    file.write_bytes(b"not safetensors")
    refused(folder, file)


@pytest.mark.parametrize("fault", ["another layer", "another width", "one part", "no adapter"])
def test_an_adapter_of_another_model_is_refused(
    folder: Path, tmp_path: Path, weights: dict[str, torch.Tensor], fault: str
) -> None:
    layer = "transformer_blocks.1.attn.to_q"
    changed = dict(weights)
    match fault:
        case "another layer":
            for part in "AB":
                key = f"lora_{part}.weight"
                changed[f"transformer_blocks.9.attn.to_q.{key}"] = torch.ones_like(
                    weights[f"{layer}.{key}"]
                )
        case "another width":
            changed[f"{layer}.lora_A.weight"] = torch.zeros(4, 7)
        case "one part":
            del changed[f"{layer}.lora_B.weight"]
        case "no adapter":
            changed = {"transformer_blocks.0.attn.to_q.weight": torch.zeros(48, 48)}
    file = tmp_path / "secret.safetensors"
    save_bare(file, changed, "transformer.")
    refused(folder, file)


def test_a_gguf_file_can_not_take_it(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="few_step"):
        ModelConfig.model_validate(
            {
                "few_step": FewStepConfig(adapter=tmp_path / "a.safetensors"),
                "memory": {"gguf": tmp_path / "b.gguf"},
            }
        )
