"""What is opened, what is refused, and what a loaded checkpoint says of itself."""

from __future__ import annotations

import json
import multiprocessing
import re
import shutil
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers.utils import is_torchvision_available

from serve_app.config import ModelConfig
from serve_app.engine import processor
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.miniature.create import CARD, create_miniature
from serve_app.engine.processor import ImageOnlyProcessor, load_processor
from serve_app.engine.state import Ticket
from serve_app.errors import ConfigurationError
from tests.engine.loops import in_turns
from tests.engine.tasks import photo, task

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load") / "plus"
    create_miniature(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "checkpoint"))


def load(checkpoint: Path | str, **changes: object) -> Checkpoint:
    config = ModelConfig(checkpoint=str(checkpoint), **{"device": "cpu", **changes})
    return load_checkpoint(config)


# Refused


def test_a_pipeline_of_another_class_is_refused_by_name(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = "StableDiffusionPipeline"
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigurationError, match="StableDiffusionPipeline") as refusal:
        load(folder)
    assert refusal.value.param == "model.checkpoint"


@pytest.mark.parametrize(
    ("checkpoint", "param"),
    [
        ("Qwen/Qwen-Image-Edit-2511", "model.revision"),
        ("/no/such/folder", "model.checkpoint"),
        ("./missing", "model.checkpoint"),
    ],
)
def test_what_is_no_folder_needs_a_pinned_revision(checkpoint: str, param: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(checkpoint)
    assert refusal.value.param == param


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(tmp_path)
    assert refusal.value.param == "model.checkpoint"


@needs_no_gpu
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(folder: Path, device: str) -> None:
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(ConfigurationError, match=device):
        load(folder, device=device)


@pytest.mark.parametrize("component", ["transformer", "vae", "text_encoder"])
def test_pickled_weights_are_refused(folder: Path, component: str) -> None:
    """A pickle runs code when it is opened; safetensors can't."""
    (weights,) = (folder / component).glob("*.safetensors")
    pickled = {"text_encoder": "pytorch_model.bin"}.get(component, "diffusion_pytorch_model.bin")
    torch.save(load_file(weights), folder / component / pickled)
    weights.unlink()
    with pytest.raises(OSError, match="safetensors"):
        load(folder)


# Miniatures that are made at once


def test_threads_that_make_it_at_once_all_succeed(tmp_path: Path) -> None:
    together = Barrier(4)

    def make() -> None:
        together.wait(timeout=60)
        create_miniature(tmp_path / "models" / "one")

    with ThreadPoolExecutor(4) as pool:
        for made in [pool.submit(make) for _ in range(4)]:
            made.result(timeout=120)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["one"]
    assert load(tmp_path / "models" / "one").description.miniature


@pytest.mark.slow
def test_processes_that_make_it_at_once_all_succeed(tmp_path: Path) -> None:
    """Two editors on one machine, starting on an empty disk."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        making: list[Future[None]] = [
            pool.submit(create_miniature, tmp_path / "models" / "one") for _ in range(2)
        ]
        for made in making:
            made.result(timeout=120)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["one"]


# The description


def test_the_description_of_the_miniature(made: Path, miniatures: dict[str, Checkpoint]) -> None:
    description = load(made, name="small", max_images=3).description
    assert (description.name, description.family) == ("small", "qwen-image-edit-plus")
    assert (description.dtype, description.device) == ("float32", "cpu")
    assert (description.miniature, description.max_images) == (True, 3)
    assert miniatures["edit"].description.family == "qwen-image-edit"
    assert miniatures["edit"].description.max_images == 1


def test_a_folder_without_the_card_is_no_miniature(folder: Path) -> None:
    (folder / CARD).unlink()
    assert not load(folder).description.miniature


@pytest.mark.parametrize("component", ["transformer", "vae", "text_encoder"])
def test_the_revision_names_the_weights(made: Path, folder: Path, component: str) -> None:
    revision = load(made).description.revision
    assert re.fullmatch(r"local-[0-9a-f]{16}", revision)
    assert load(folder).description.revision == revision
    (weights,) = (folder / component).glob("*.safetensors")
    spoilt = bytearray(weights.read_bytes())
    spoilt[-3] ^= 1
    weights.write_bytes(spoilt)
    assert load(folder).description.revision != revision


def test_the_configured_number_format_is_loaded_and_edits(made: Path) -> None:
    checkpoint = load(made, dtype="bfloat16", vae_area=64 * 64, condition_area=32 * 32)
    assert checkpoint.description.dtype == "bfloat16"
    pipeline = checkpoint.pipeline
    for part in (pipeline.transformer, pipeline.vae, pipeline.text_encoder):
        assert part.dtype == torch.bfloat16
    loop = in_turns(checkpoint, 1)
    try:
        ticket = Ticket(task(checkpoint, (photo(1, 64, 64),), steps=2), None)
        loop.submit(ticket)
        result = ticket.future.result(timeout=120)
        assert result.finite
        assert result.pixels.dtype == np.uint8
    finally:
        loop.close()


# The prompt's prefix and its processor


@pytest.mark.parametrize("kind", ["edit", "plus"])
def test_the_cut_prefix_ends_where_the_users_turn_begins(
    miniatures: dict[str, Checkpoint], kind: str
) -> None:
    """Counted by hand: a token is a byte or a special token, and the turn starts with
    the picture (first family) or with "Picture 1: " (Plus)."""
    pipeline = miniatures[kind].pipeline
    system, user, _ = pipeline.prompt_template_encode.split("<|im_start|>")[1:]
    body, _, rest = system.partition("<|im_end|>")
    by_hand = 1 + len(body.encode()) + 1 + len(rest.encode()) + 1 + len(b"user\n")
    assert user.startswith("user\n")
    assert pipeline.prompt_template_encode_start_idx == by_hand


@pytest.mark.parametrize("kind", ["edit", "plus"])
def test_everything_after_the_prefix_reaches_the_transformer(
    miniatures: dict[str, Checkpoint], kind: str
) -> None:
    """One more byte of prompt is one more embedding, and the system prompt has none."""
    checkpoint = miniatures[kind]
    job = task(checkpoint, (photo(1, 64, 64),))
    image = Image.fromarray(job.conditions[0])
    images = [image] if checkpoint.plus else image
    with torch.no_grad():
        lengths = [
            checkpoint.pipeline.encode_prompt(prompt, image=images)[0].shape[1]
            for prompt in ("", "abc")
        ]
    pads = (round(image.height / 28)) * (round(image.width / 28))
    begin = len(b"Picture 1: ") if checkpoint.plus else 0
    end = 1 + 1 + 1 + len(b"assistant\n")  # <|im_end|>, newline, <|im_start|>
    assert lengths == [begin + 1 + pads + 1 + end, begin + 1 + pads + 1 + end + 3]


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is installed")
def test_without_torchvision_the_processor_does_images_only(made: Path) -> None:
    assert type(load(made).pipeline.processor) is ImageOnlyProcessor


def test_with_torchvision_the_stock_processor_is_left_to_load(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "is_torchvision_available", lambda: True)
    assert load_processor(str(made), None) is None
