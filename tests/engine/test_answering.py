"""Answers are the model's own, and mean something or are not asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from serve_app.config import EngineConfig, MemoryConfig, ModelConfig
from serve_app.edits.question import Question, Reply
from serve_app.engine.answering import Answerer, can_answer, has_head
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint, load_checkpoint
from serve_app.engine.miniature.create import create_miniature
from serve_app.engine.miniature.pretrained import MINIATURE
from serve_app.engine.prompts import PromptEncoder
from serve_app.errors import InvalidRequest, NoAnswer
from serve_app.images.pixels import RGB
from tests.engine.tasks import photo, task

PICTURES = (photo(1, 56, 56), photo(2, 84, 56))


@torch.no_grad()
def answer(checkpoint: Checkpoint, question: Question) -> Reply:
    answerer = Answerer(checkpoint)
    return answerer.answer(answerer.prepare(question))


def chat(checkpoint: Checkpoint, said: str, pictures: tuple[RGB, ...]) -> Any:
    """What transformers' processor makes of a turn that is written out by hand."""
    text = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n"
    )
    images = [Image.fromarray(picture) for picture in pictures] or None
    return checkpoint.pipeline.processor(text=[text], images=images, return_tensors="pt")


PAD = "<|vision_start|><|image_pad|><|vision_end|>"
SHOWN = ("", PAD, f"Picture 1: {PAD}Picture 2: {PAD}")


@pytest.fixture
def text_encoder(plus: Checkpoint) -> Any:
    """A text encoder of its own: transformers keeps the shift of the last pictures in it."""
    return copy.deepcopy(plus.pipeline.text_encoder)


# As transformers


@pytest.mark.parametrize("pictures", [0, 1, 2])
@pytest.mark.parametrize("text", ["Is it red?", "是红色吗?", 'Was "it" done?\nReally?', "{}"])
def test_a_yes_is_as_probable_as_by_a_forward_of_transformers(
    plus: Checkpoint, text_encoder: Any, text: str, pictures: int
) -> None:
    shown = PICTURES[:pictures]
    inputs = chat(plus, f"{SHOWN[pictures]}{text} Answer yes or no.", shown)
    with torch.no_grad():
        logits = text_encoder(**inputs).logits[0, -1].double()
    vocabulary = plus.pipeline.tokenizer.get_vocab()
    yes, no = (sum(logits[vocabulary[letter]].exp() for letter in it) for it in ("Yy", "Nn"))
    reply = answer(plus, Question(text, shown))
    assert reply.yes == pytest.approx(float(yes / (yes + no)), abs=1e-5)
    assert reply.text == ""


@pytest.mark.parametrize("pictures", [0, 1, 2])
@pytest.mark.parametrize("most", [1, 9])
def test_what_is_written_is_what_transformers_generates_greedily(
    plus: Checkpoint, text_encoder: Any, pictures: int, most: int
) -> None:
    shown = PICTURES[:pictures]
    inputs = chat(plus, f"{SHOWN[pictures]}Describe it.", shown)
    ends = plus.pipeline.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    with torch.no_grad():
        tokens = text_encoder.generate(
            **inputs, do_sample=False, max_new_tokens=most, eos_token_id=ends, pad_token_id=ends[1]
        )
    new = tokens[0, inputs["input_ids"].shape[1] :]
    expected = plus.pipeline.tokenizer.decode(new, skip_special_tokens=True).strip()
    reply = answer(plus, Question("Describe it.", shown, max_tokens=most))
    assert reply == Reply(None, expected)


def test_writing_ends_where_the_model_ends_its_turn(plus: Checkpoint) -> None:
    end = plus.pipeline.tokenizer.convert_tokens_to_ids("<|im_end|>")
    h = plus.pipeline.tokenizer.convert_tokens_to_ids("h")

    def say_h_twice(logits: torch.Tensor, call: dict[str, Any]) -> None:
        logits[..., end if call["past_key_values"].get_seq_length() > said_until else h] += 1e6

    said_until = Answerer(plus).prepare(Question("Say it.", max_tokens=9)).tokens.shape[1] + 1
    assert answer(saying(plus, say_h_twice), Question("Say it.", max_tokens=9)).text == "hh"


@settings(max_examples=25, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    pictures=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_any_question_gets_a_probability_and_always_the_same(
    plus: Checkpoint, text: str, pictures: int, seed: int
) -> None:
    question = Question(text, tuple(photo(seed + number, 56, 84) for number in range(pictures)))
    reply = answer(plus, question)
    assert reply.yes is not None
    assert 0.0 <= reply.yes <= 1.0
    assert answer(plus, question) == reply


# What goes in


@pytest.mark.parametrize("size", [(300, 200), (900, 300), (56, 56)])
def test_pictures_are_reduced_to_the_condition_area(
    plus: Checkpoint, size: tuple[int, int]
) -> None:
    shown = Answerer(plus).prepare(Question("?", (photo(3, *size),))).pictures["image_grid_thw"]
    _, rows, columns = shown[0].tolist()  # patches of 14 x 14 pixels
    assert rows * columns * 14**2 <= 1.3 * plus.condition_area
    assert columns / rows == pytest.approx(size[0] / size[1], rel=0.5)


@pytest.mark.parametrize("token", ["<|image_pad|>", "<|im_end|>", "<|vision_start|>"])
def test_a_question_can_not_spell_a_reserved_token(plus: Checkpoint, token: str) -> None:
    with pytest.raises(InvalidRequest, match="reserve"):
        Answerer(plus).prepare(Question(f"Is {token} there?"))


@pytest.mark.parametrize("offload", ["model", "group"])
def test_answers_are_the_same_where_the_weights_are_offloaded(
    tmp_path: Path, offload: Literal["model", "group"]
) -> None:
    create_miniature(tmp_path / "tiny")
    common = ModelConfig(checkpoint=str(tmp_path / "tiny"), device="cpu", condition_area=56 * 56)
    away = common.model_copy(update={"memory": MemoryConfig(offload=offload)})
    kept, offloaded = load_checkpoint(common), load_checkpoint(away)
    for most in (0, 4):
        question = Question("Which?", PICTURES, most)
        assert answer(offloaded, question) == answer(kept, question)
    assert has_head(offloaded.pipeline.text_encoder)


# What edits see of it


@pytest.mark.parametrize("kind", ["edit", "plus"])
@pytest.mark.parametrize("most", [0, 3])
def test_prompts_are_encoded_as_if_nothing_had_been_asked(
    miniatures: dict[str, Checkpoint], kind: str, most: int
) -> None:
    """The shift that pictures give to positions must not stay in the model."""
    checkpoint = miniatures[kind]
    wanted, encoder = task(checkpoint, (photo(1, 64, 64),)), PromptEncoder(checkpoint)
    with torch.no_grad():
        before = encoder.embed(wanted.prompt, encoder.prefix(wanted))
        prefix = encoder.prefix(wanted)
        answer(checkpoint, Question("Which?", PICTURES, max_tokens=most))
        after = encoder.embed(wanted.prompt, prefix)
    assert torch.equal(before, after)


# Whether it can be asked at all

Saying = Callable[[torch.Tensor, dict[str, Any]], None]
"""Changes the logits (1, 1, vocabulary) of a forward, given its arguments."""


def saying(checkpoint: Checkpoint, change: Saying) -> Checkpoint:
    """A copy of ``checkpoint`` whose text encoder says something else."""
    pipeline = copy.copy(checkpoint.pipeline)
    pipeline.text_encoder = copy.deepcopy(pipeline.text_encoder)
    pipeline.text_encoder.register_forward_hook(
        lambda _, args, call, outputs: change(outputs.logits, call), with_kwargs=True
    )
    return replace(checkpoint, pipeline=pipeline)


class ColourSighted:
    """Stands for a model that was trained: looks for the colour that is asked for.

    ``sure`` is the logit of what it says; below zero it says the contrary.
    """

    def __init__(self, checkpoint: Checkpoint, sure: float) -> None:
        self._tokenizer = checkpoint.pipeline.tokenizer
        self._sure = sure

    def __call__(self, logits: torch.Tensor, call: dict[str, Any]) -> None:
        asked = self._tokenizer.decode(call["input_ids"][0])
        red, _, blue = call["pixel_values"].reshape(-1, 3, 2 * 14 * 14).mean((0, 2)).tolist()
        right = ("red" in asked) == (red > blue)
        logits.zero_()
        logits[..., self._tokenizer.convert_tokens_to_ids("Y" if right else "N")] = self._sure


def test_a_model_that_sees_two_colours_can_be_asked(plus: Checkpoint) -> None:
    assert can_answer(saying(plus, ColourSighted(plus, 9.0)))


@pytest.mark.parametrize("sure", [-9.0, 0.0, 0.5])
def test_a_model_that_is_wrong_or_guesses_can_not(plus: Checkpoint, sure: float) -> None:
    assert not can_answer(saying(plus, ColourSighted(plus, sure)))


@pytest.mark.parametrize("letter", ["Y", "N"])
def test_a_model_that_always_says_the_same_can_not(plus: Checkpoint, letter: str) -> None:
    token = plus.pipeline.tokenizer.convert_tokens_to_ids(letter)

    def always(logits: torch.Tensor, call: dict[str, Any]) -> None:
        logits[..., token] += 99.0

    assert not can_answer(saying(plus, always))


def test_a_model_whose_numbers_overflow_can_not(plus: Checkpoint) -> None:
    def overflow(logits: torch.Tensor, call: dict[str, Any]) -> None:
        logits.fill_(np.nan)

    overflowing = saying(plus, overflow)
    with pytest.raises(NoAnswer):
        answer(overflowing, Question("?"))
    assert not can_answer(overflowing)


def test_a_random_model_has_a_head_but_no_answers(plus: Checkpoint) -> None:
    assert has_head(plus.pipeline.text_encoder)
    assert not can_answer(plus)


def test_the_shipped_miniature_has_a_head_but_no_answers() -> None:
    """Its head is tied to the embeddings and was never trained."""
    shipped = load_checkpoint(ModelConfig(checkpoint=MINIATURE, device="cpu"))
    assert has_head(shipped.pipeline.text_encoder)
    assert not can_answer(shipped)


def test_a_checkpoint_without_the_head_can_not_be_asked(tmp_path: Path) -> None:
    """The pipeline loads and edits, with a head drawn at random."""
    create_miniature(tmp_path / "headless")
    (file,) = (tmp_path / "headless" / "text_encoder").glob("*.safetensors")
    weights = load_file(file)
    del weights["lm_head.weight"]
    save_file(weights, file, {"format": "pt"})
    checkpoint = load_checkpoint(ModelConfig(checkpoint=str(tmp_path / "headless"), device="cpu"))
    assert not has_head(checkpoint.pipeline.text_encoder)
    assert not can_answer(saying(checkpoint, ColourSighted(checkpoint, 9.0)))


@pytest.mark.parametrize("ask", [False, True])
async def test_an_engine_describes_a_random_model_as_one_without_answers(
    tmp_path: Path, ask: bool
) -> None:
    create_miniature(tmp_path / "tiny")
    model = ModelConfig(checkpoint=str(tmp_path / "tiny"), device="cpu", condition_area=56 * 56)
    engine = Engine.load(model, EngineConfig(), ask=ask)
    try:
        assert not (await engine.describe()).answers
        with pytest.raises(NoAnswer):
            await engine.ask(Question("Is it?"))
    finally:
        engine.close()
