"""Training: each stage lowers its loss, goes on where it stopped, and sees what is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn
from torch.nn import functional

from serve_app.config import ModelConfig
from serve_app.engine.encoders import Encoders
from serve_app.engine.few_step import LIGHTNING_SCHEDULER
from serve_app.engine.load import load_checkpoint
from serve_app.engine.miniature import autoencoder_training, single_frame
from serve_app.engine.miniature.architecture import LARGE, SMALL, Sizes, assemble, transformer
from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.create import save_miniature
from serve_app.engine.miniature.few_step_training import VISITED, train_few_step
from serve_app.engine.miniature.flow_training import (
    FlowMatching,
    Prompts,
    make_trainable_fast,
    zero_gates,
)
from serve_app.engine.miniature.latent_pool import LatentPool, Latents
from serve_app.engine.miniature.pretrained import open_checkpoint, plain_copy, silence_vision
from serve_app.engine.miniature.scenes import draw_pair
from serve_app.engine.miniature.text_training import (
    KINDS,
    SLOTS,
    TextReader,
    TokenTemplate,
    corpus,
    labels,
    understood,
)
from serve_app.engine.miniature.text_training import loss_of_steps as text_losses
from serve_app.engine.miniature.tokenizer import word_tokenizer
from serve_app.engine.miniature.train import Training
from serve_app.engine.miniature.wording import Change, Subject
from serve_app.engine.state import CanvasTask
from serve_app.images.geometry import resize, scaled_to_area

QUICK: Sizes = replace(SMALL, vae_width=8, text_layers=1, layers=1)


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Compiling pays in hours of training, not here; results are the same."""
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return word_tokenizer(corpus(0, 4000), 1536)


@pytest.fixture(scope="module")
def checkpoint(tokenizer: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as training writes it, with random weights."""
    torch.manual_seed(0)
    pipeline = assemble(QUICK, tokenizer)
    silence_vision(pipeline.text_encoder)
    autoencoder_training.set_latent_statistics(pipeline.vae, QUICK)
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    save_miniature(folder, plain_copy(pipeline, QUICK), {"version": "test", "edits": ["none"]})
    return folder


# What training computes is what the service computes


@pytest.mark.parametrize("sizes", [QUICK, replace(LARGE, vae_width=8)])
def test_single_frames_are_coded_as_by_the_stock_autoencoder(sizes: Sizes) -> None:
    torch.manual_seed(0)
    vae = assemble(replace(sizes, text_layers=1, layers=1), word_tokenizer([], 256)).vae
    pixels = torch.rand(2, 3, 1, sizes.side, sizes.side) * 2 - 1
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mode()
        decoded = vae.decode(latents).sample
        single_frame.specialise_for_single_frames(vae)
        torch.testing.assert_close(
            single_frame.encode(vae, pixels).chunk(2, 1)[0], latents, atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(
            single_frame.decode(vae, latents).clamp(-1, 1), decoded, atol=1e-5, rtol=1e-4
        )


def test_the_attention_of_training_equals_the_stock_one() -> None:
    torch.manual_seed(0)
    model = transformer(QUICK)
    there = torch.ones(3, 9, dtype=torch.bool)
    there[1, 5:] = False
    inputs = {
        "hidden_states": torch.randn(3, 128, 64),
        "encoder_hidden_states": torch.randn(3, 9, QUICK.text_width),
        "encoder_hidden_states_mask": there,
        "timestep": torch.tensor([0.1, 0.5, 1.0]),
        "img_shapes": [[(1, 8, 8), (1, 8, 8)]] * 3,
        "return_dict": False,
    }
    with torch.no_grad():
        stock = model(**inputs)[0]
        make_trainable_fast(model, QUICK.head_dim)
        torch.testing.assert_close(model(**inputs)[0], stock, atol=1e-5, rtol=1e-4)


def test_the_engine_encodes_as_training_did(checkpoint: Path) -> None:
    pair = draw_pair(Random(0), "train", "add")
    source, _ = pair.pictures(QUICK.side)
    condition = resize(source, scaled_to_area(QUICK.side, QUICK.side, 28 * 28))
    task = CanvasTask(
        (source,), (condition,), QUICK.side, QUICK.side, pair.instruction, " ", 4.0, 8, 0
    )
    config = ModelConfig(
        checkpoint=str(checkpoint), device="cpu", vae_area=QUICK.side**2, condition_area=28 * 28
    )
    served = Encoders(load_checkpoint(config), 10**7)
    pipeline = open_checkpoint(checkpoint)
    prompts = Prompts(pipeline.text_encoder, pipeline.tokenizer)
    embedded, there = prompts.embed([pair.instruction, " "])
    for row, expected in enumerate(served.prompts(task)):
        assert expected is not None
        assert int(there[row].sum()) == expected.shape[1]
        torch.testing.assert_close(
            embedded[row, : expected.shape[1]], expected[0], atol=1e-4, rtol=1e-3
        )
    expected = served.references(task)
    single_frame.specialise_for_single_frames(pipeline.vae)
    packed = Latents(pipeline.vae, QUICK).of(np.stack([source, source]))
    error = (packed[0] - expected[0]).abs().mean() / expected.abs().mean()
    assert error < 0.1  # bfloat16 through an untrained encoder


def test_latents_come_back_as_pictures(checkpoint: Path) -> None:
    vae = open_checkpoint(checkpoint).vae
    latents = Latents(vae, QUICK)
    source, _ = draw_pair(Random(0), "train", "add").pictures(QUICK.side)
    pixels = torch.from_numpy(source).float()[None].permute(0, 3, 1, 2)[:, :, None] / 127.5 - 1
    with torch.no_grad():
        expected = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
    got = latents.to_pixels(latents.of(np.stack([source])))
    assert (got - expected).abs().mean() < 0.02


# The text encoder


def test_labels_say_what_a_change_is() -> None:
    change = Change("move", subject=Subject("star", "red"), place=2)
    said = dict(zip((slot.name for slot in SLOTS), labels(change), strict=True))
    assert said["kind"] == 1 + list(CHANGES).index("move")
    assert said["place"] == 3
    assert said["subject.colour"] == 1
    assert said["other.shape"] == said["word.0"] == said["style"] == 0


def test_letters_of_a_sign_stay_single_tokens(tokenizer: object) -> None:
    tokens = tokenizer("change the sign to 'QUARTZ'")["input_ids"]  # type: ignore[operator]
    pieces = [tokenizer.decode([token]) for token in tokens]  # type: ignore[attr-defined]
    assert pieces[-7:-1] == list("QUARTZ")


@pytest.mark.slow
def test_reading_instructions_is_learned(tokenizer: object) -> None:
    torch.manual_seed(0)
    template = TokenTemplate.of(tokenizer)
    reader = TextReader(assemble(QUICK, tokenizer).text_encoder, QUICK.text_width, template)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3)
    loss_of = text_losses(reader, tokenizer)
    losses = []
    for step in range(25):
        loss, _ = loss_of(step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_understood_counts_what_is_read_right_in_all(tokenizer: object) -> None:
    """Heads that always say what an example wants read it right, others nothing."""

    class Telling(nn.Module):
        """Knows the answers, or the opposite of them."""

        def __init__(self, right: bool) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.right = right

        def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
            random = Random(1)
            kinds = random.choices(list(KINDS), list(KINDS.values()), k=len(tokens))
            wanted = [labels(draw_pair(random, "held_out", kind).change) for kind in kinds]
            return [
                functional.one_hot(
                    (torch.tensor([row[slot] for row in wanted]) + (not self.right)) % classes,
                    classes,
                ).float()
                for slot, classes in enumerate(1 + len(it.values) for it in SLOTS)
            ]

    assert understood(Telling(True), tokenizer, batches=1, seed=1) == 1.0  # type: ignore[arg-type]
    assert understood(Telling(False), tokenizer, batches=1, seed=1) == 0.0  # type: ignore[arg-type]


# The transformer and its adapter


@pytest.fixture
def flow(checkpoint: Path) -> FlowMatching:
    pipeline = open_checkpoint(checkpoint)
    single_frame.specialise_for_single_frames(pipeline.vae)
    pool = LatentPool(Latents(pipeline.vae, QUICK), QUICK, families=8, seed=0)
    assert list(pool.fill())[-1] >= 1
    prompts = Prompts(pipeline.text_encoder, pipeline.tokenizer)
    return FlowMatching(pipeline.transformer, prompts, pool, QUICK, torch.device("cpu"), batch=8)


def test_a_pool_gives_pairs_of_the_same_scene(flow: FlowMatching) -> None:
    sources, targets, changes = flow.pool.sample(Random(0), 32)
    assert sources.shape == targets.shape == (32, QUICK.tokens_per_side**2, 64)
    assert sources.std() == pytest.approx(1, abs=0.3)
    same = [
        (source == target).all().item() for source, target in zip(sources, targets, strict=True)
    ]
    assert same == [change.kind == "other" for change in changes]


def test_zero_gates_make_blocks_identities(flow: FlowMatching) -> None:
    zero_gates(flow.transformer)
    make_trainable_fast(flow.transformer, QUICK.head_dim)
    loss, figures = flow.loss_of_steps()(5000)
    # A prediction of zero: the error is the power of noise minus latents, one and one.
    assert figures["error"] == pytest.approx(2, abs=0.5)
    assert torch.isfinite(loss)


def test_an_instruction_that_is_too_long_is_refused(flow: FlowMatching) -> None:
    with pytest.raises(ValueError, match="more than"):
        flow.prompts.embed(["make it blue " * 40])


def test_few_step_training_touches_the_adapter_alone(flow: FlowMatching, tmp_path: Path) -> None:
    make_trainable_fast(flow.transformer, QUICK.head_dim)
    before = {name: it.detach().clone() for name, it in flow.transformer.named_parameters()}
    layers = train_few_step(flow, tmp_path, 3)
    after = dict(flow.transformer.named_parameters())
    for name, it in before.items():
        owner, _, leaf = name.rpartition(".")
        torch.testing.assert_close(after.get(name, after.get(f"{owner}.base_layer.{leaf}")), it)
    assert any(weight.abs().max() > 0 for name, weight in layers.items() if "lora_B" in name)
    # Only what few steps meet, and no sample that asks for nothing.
    assert (flow.unconditional, flow.copies) == (0.0, 0.0)
    drawn = flow.sigmas(torch.Generator().manual_seed(0), 64)
    assert {round(sigma, 4) for sigma in drawn.tolist()} == set(VISITED)


@pytest.mark.parametrize("steps", [2, 4])
def test_few_steps_visit_only_what_the_adapter_was_trained_for(steps: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING_SCHEDULER)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=np.log(3))
    for sigma in scheduler.sigmas[:-1].tolist():
        assert any(sigma == pytest.approx(it, abs=1e-4) for it in VISITED)


# The command


def test_a_folder_of_another_training_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    Training("small", tmp_path, 60, torch.device("cpu"), sizes=QUICK)
    with pytest.raises(ValueError, match="other options"):
        Training("large", tmp_path, 60, torch.device("cpu"), sizes=QUICK)
    with pytest.raises(ValueError, match="not a trained miniature"):
        Training("small", tmp_path / "new", 60, torch.device("cpu"), start_from=checkpoint)


@pytest.mark.slow
def test_a_minute_of_training_lowers_every_loss_and_resumes(tmp_path: Path) -> None:
    """A minute of all stages, a little more in the same folder, then on from the result."""
    cpu = torch.device("cpu")
    for seconds in (60, 75):
        run = tmp_path / "run"
        Training("small", run, seconds, cpu, sizes=QUICK, families=64, log_every=5).run()
    logs = {
        stage: [json.loads(it) for it in (tmp_path / "run" / f"{stage}.jsonl").open()]
        for stage in ("autoencoder", "text", "transformer", "few_step")
    }
    for stage, lines in logs.items():
        assert lines[-1]["step"] > 1
        if stage != "few_step":  # its start is what the transformer has learned already
            assert lines[-1]["loss"] < lines[0]["loss"], stage
    # Once the transformer has begun, what it learns from stays; itself goes on.
    spent = {stage: lines[-1]["seconds"] for stage, lines in logs.items()}
    assert spent["autoencoder"] < 0.19 * 75
    assert spent["transformer"] > 0.68 * 60
    folder = tmp_path / "run" / "checkpoint"
    assert (folder / "few_step.safetensors").is_file()
    assert (tmp_path / "run" / "curves.png").is_file()
    config = ModelConfig(checkpoint=str(folder), vae_area=QUICK.side**2, condition_area=28 * 28)
    assert load_checkpoint(config).description.edits
