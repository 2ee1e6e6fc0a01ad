"""The miniature: reproducible, open to stock diffusers, and at home in any language."""

from __future__ import annotations

import hashlib
import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2Tokenizer

from serve_app.engine.miniature.create import CARD, create_miniature
from serve_app.engine.miniature.tokenizer import SPECIAL_TOKENS, byte_tokenizer
from serve_app.engine.processor import ImageOnlyProcessor, load_processor
from tests.engine.tasks import photo


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "plus"
    create_miniature(folder)
    return folder


def test_equal_arguments_give_equal_files(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # what the caller's generator is at must not matter
    create_miniature(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(folder)


def test_making_one_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    create_miniature(tmp_path / "made")
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_gives_other_weights_in_every_network(folder: Path, tmp_path: Path) -> None:
    create_miniature(tmp_path / "other", seed=1)
    ours, others = contents(folder), contents(tmp_path / "other")
    assert set(ours) == set(others)
    differing = {name for name in ours if ours[name] != others[name]}
    assert differing == {name for name in ours if name.endswith(".safetensors")}
    assert len(differing) == 3


def test_nothing_but_the_finished_folder_remains(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert json.loads((folder / CARD).read_text())["miniature"] is True


def test_a_foreign_folder_in_its_place_is_not_overwritten(tmp_path: Path) -> None:
    foreign = tmp_path / "made" / "notes.txt"
    foreign.parent.mkdir()
    foreign.write_text("mine")
    with pytest.raises(OSError):  # noqa: PT011 - the system's own words
        create_miniature(foreign.parent)
    assert contents(tmp_path).keys() == {"made/notes.txt"}


# In stock diffusers


def opened(folder: Path, pipeline: type = QwenImageEditPlusPipeline) -> DiffusionPipeline:
    pipe = pipeline.from_pretrained(folder, processor=load_processor(str(folder), None))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def edited(pipe: DiffusionPipeline) -> np.ndarray:
    made = pipe(
        image=Image.fromarray(photo(1, 64, 64)),
        prompt="make it blue",
        num_inference_steps=2,
        true_cfg_scale=1.0,
        height=64,
        width=64,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    )
    return made.images[0]


@pytest.fixture
def small_canvas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock pipeline's reference area is a constant, too large for a quick test."""
    module = "diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus"
    monkeypatch.setattr(f"{module}.VAE_IMAGE_SIZE", 64 * 64)
    monkeypatch.setattr(f"{module}.CONDITION_IMAGE_SIZE", 64 * 64)


@pytest.mark.usefixtures("small_canvas")
def test_it_opens_in_stock_diffusers_and_edits(folder: Path) -> None:
    image = edited(opened(folder))
    assert image.shape == (64, 64, 3)
    assert np.isfinite(image).all()


def test_the_first_family_opens_as_its_own_class(tmp_path: Path) -> None:
    create_miniature(tmp_path / "edit", "edit")
    assert type(opened(tmp_path / "edit", QwenImageEditPipeline)) is QwenImageEditPipeline


def test_its_index_names_the_stock_processor(folder: Path) -> None:
    """Ours is known to this service only; elsewhere the folder must open without it."""
    index = json.loads((folder / "model_index.json").read_text())
    assert index["processor"] == ["transformers", "Qwen2VLProcessor"]
    assert not any("serve_app" in path.read_text() for path in folder.rglob("*.json"))


@pytest.mark.usefixtures("small_canvas")
def test_saving_and_loading_keeps_every_bit_of_an_edit(folder: Path, tmp_path: Path) -> None:
    pipe = opened(folder)
    pipe.save_pretrained(tmp_path / "saved", safe_serialization=True)
    # Without torchvision the pipeline holds our processor, which diffusers can't name.
    shutil.copy(folder / "model_index.json", tmp_path / "saved")
    again = QwenImageEditPlusPipeline.from_pretrained(
        tmp_path / "saved", processor=load_processor(str(tmp_path / "saved"), None)
    )
    again.set_progress_bar_config(disable=True)
    np.testing.assert_array_equal(edited(pipe), edited(again))


# The tokenizer

TOKENIZER = byte_tokenizer()
texts = st.text(max_size=80) | st.text(
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
    | st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
    | st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF),
    max_size=40,
)


def ids(text: str) -> list[int]:
    return TOKENIZER(text)["input_ids"]


@given(text=texts)
def test_any_text_comes_back_as_it_was(text: str) -> None:
    normal = unicodedata.normalize("NFC", text)  # Qwen's tokenizer composes first
    assert TOKENIZER.decode(ids(text), clean_up_tokenization_spaces=False) == normal


@given(text=texts)
def test_a_token_is_a_byte(text: str) -> None:
    assume(not any(token in text for token in SPECIAL_TOKENS))  # each of which is one, too
    assert len(ids(text)) == len(unicodedata.normalize("NFC", text).encode())


def test_a_family_of_emoji_is_kept_whole() -> None:
    text = "把招牌改成“营业中” 노을로 👩‍👩‍👧‍👦🏳️‍🌈"
    assert TOKENIZER.decode(ids(text)) == text


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_special_token_is_one_id(token: str) -> None:
    assert ids(token) == [TOKENIZER.convert_tokens_to_ids(token)]
    assert len(ids(f"a{token}b")) == 3


def test_ids_are_distinct_and_inside_the_vocabulary() -> None:
    special = TOKENIZER.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    assert sorted(set(special)) == list(range(256, 256 + len(SPECIAL_TOKENS)))
    assert len(TOKENIZER) == 256 + len(SPECIAL_TOKENS)


def test_the_saved_tokenizer_is_the_same(folder: Path) -> None:
    saved = Qwen2Tokenizer.from_pretrained(folder / "tokenizer")
    for text in ("hello", "营业中", "노을", "<|im_start|>user\n<|image_pad|>"):
        assert saved(text)["input_ids"] == ids(text)
    processor = load_processor(str(folder), None)
    assert isinstance(processor, ImageOnlyProcessor)
