"""The text encoder as what it is, a vision-language model that answers questions.

Edits use its hidden states alone. Answers need its ``lm_head``, too, which a checkpoint may
leave out, and training that a small model lacks: ``can_answer`` finds out both.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from transformers import DynamicCache

from serve_app.edits.question import Question, Reply
from serve_app.engine.encode import has_reserved_token
from serve_app.engine.load import Checkpoint
from serve_app.errors import InvalidRequest, NoAnswer
from serve_app.images.geometry import resize, scaled_to_area
from serve_app.images.pixels import RGB

logger = logging.getLogger(__name__)

# The chat template of Qwen2.5-VL, its pictures numbered as by its option ``add_vision_id``.
_HEAD = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
_TAIL = "<|im_end|>\n<|im_start|>assistant\n"
_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_ENDS = ("<|im_end|>", "<|endoftext|>")

_YES_OR_NO = " Answer yes or no."
_YES, _NO = ("Yes", "yes"), ("No", "no")

_TOKEN = 28
"""Pixels that one token of a picture is wide and high."""

_SURE = 0.8
"""How probable the right answer to a start-up question must be: guessing stays near one half."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A question as the text encoder takes it, on the CPU.

    ``tokens`` (1, length) are its text, ``pictures`` the processor's tensors, by name.
    ``positions`` (3, 1, length) are the tokens' frames, rows and columns, or ``None`` where
    they simply count; what is written goes on from ``length + shift``.
    """

    tokens: torch.Tensor
    pictures: Mapping[str, torch.Tensor]
    positions: torch.Tensor | None
    shift: int
    max_tokens: int


class Answerer:
    """Answers with the text encoder of one checkpoint.

    Any thread may ``prepare``; ``answer`` is for the one that runs the text encoder.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        tokenizer = checkpoint.pipeline.tokenizer
        yes, no = _openings(tokenizer, _YES), _openings(tokenizer, _NO)
        self._yes, self._no = sorted(yes - no), sorted(no - yes)
        self._ends = frozenset(tokenizer.convert_tokens_to_ids(list(_ENDS)))

    def prepare(self, question: Question) -> Prepared:
        """Lay a question out in tokens, its pictures no larger than the condition area.

        Raises ``InvalidRequest`` if its text spells a token that the model reserves.
        """
        if has_reserved_token(self._checkpoint, question.text):
            raise InvalidRequest(
                "The text contains a token that the model reserves, such as `<|image_pad|>`. "
                "Leave it out.",
                "prompt",
            )
        pipeline = self._checkpoint.pipeline
        pictures = [Image.fromarray(self._reduced(image)) for image in question.images]
        inputs = pipeline.processor(
            text=[_chat(question)], images=pictures or None, return_tensors="pt"
        )
        tokens = inputs["input_ids"]
        if not pictures:
            return Prepared(tokens, {}, None, 0, question.max_tokens)
        # Left to itself the model keeps the shift for its next forward, which is an edit's.
        positions, shift = pipeline.text_encoder.model.get_rope_index(
            tokens,
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
        )
        shown = {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}
        return Prepared(tokens, shown, positions, int(shift), question.max_tokens)

    def answer(self, prepared: Prepared) -> Reply:
        """Answer in one forward, or in one for each token that is written.

        Raises ``NoAnswer`` if the model's numbers overflow.
        """
        cache = DynamicCache() if prepared.max_tokens else None
        logits = self._read(prepared.tokens, prepared.positions, cache, prepared.pictures)
        if cache is not None:
            return Reply(text=self._write(logits, prepared, cache))
        yes = self._probability_of_yes(logits)
        if not math.isfinite(yes):
            raise NoAnswer("The model's numbers overflowed at this question.")
        return Reply(yes=yes)

    def _reduced(self, image: RGB) -> RGB:
        height, width, _ = image.shape
        if width * height <= self._checkpoint.condition_area:
            return image
        return resize(image, scaled_to_area(width, height, self._checkpoint.condition_area, _TOKEN))

    def _read(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor | None,
        cache: DynamicCache | None,
        pictures: Mapping[str, torch.Tensor],
    ) -> torch.Tensor:
        """Logits (vocabulary,) of what follows ``tokens``, which go on from ``cache``."""
        device = self._checkpoint.pipeline._execution_device
        outputs = self._checkpoint.pipeline.text_encoder(
            input_ids=tokens.to(device),
            position_ids=None if positions is None else positions.to(device),
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=1,
            **{name: tensor.to(device) for name, tensor in pictures.items()},
        )
        logits: torch.Tensor = outputs.logits[0, -1].float()
        return logits

    def _probability_of_yes(self, logits: torch.Tensor) -> float:
        shares = logits[self._yes + self._no].softmax(0)
        return float(shares[: len(self._yes)].sum())

    def _write(self, logits: torch.Tensor, prepared: Prepared, cache: DynamicCache) -> str:
        """The likeliest token, and the next; ``generate`` would heed the checkpoint's sampling."""
        written: list[int] = []
        length = prepared.tokens.shape[1]
        while (token := int(logits.argmax())) not in self._ends:
            written.append(token)
            if len(written) == prepared.max_tokens:
                break
            position = length + len(written) - 1 + prepared.shift
            positions = torch.full((3, 1, 1), position)
            logits = self._read(torch.tensor([[token]]), positions, cache, {})
        text: str = self._checkpoint.pipeline.tokenizer.decode(written, skip_special_tokens=True)
        return text.strip()


def with_answers(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint, described as one that can be asked questions if it can.

    To be called before the device's threads run.
    """
    answers = can_answer(checkpoint)
    if not answers:
        logger.warning("%s can't be asked questions", checkpoint.description.name)
    return replace(checkpoint, description=replace(checkpoint.description, answers=answers))


@torch.no_grad()
def can_answer(checkpoint: Checkpoint) -> bool:
    """Whether the text encoder's answers mean anything: it has a head, and tells red from blue."""
    if not has_head(checkpoint.pipeline.text_encoder):
        return False
    answerer = Answerer(checkpoint)
    squares = {"red": _square((220, 20, 20)), "blue": _square((20, 20, 220))}

    def right(asked: str, shown: str) -> bool:
        question = Question(f"Is the square {asked}?", (squares[shown],))
        yes = answerer.answer(answerer.prepare(question)).yes or 0.0
        return (yes if asked == shown else 1.0 - yes) >= _SURE

    try:
        return all(right(asked, shown) for asked in squares for shown in squares)
    except NoAnswer:
        return False


def has_head(text_encoder: Any) -> bool:
    """Whether the weights that turn hidden states into words were in the checkpoint.

    Where they are missing, transformers draws them at random.
    """
    if text_encoder.lm_head.weight is text_encoder.get_input_embeddings().weight:
        return True
    for file in Path(text_encoder.name_or_path).glob("*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            if "lm_head.weight" in weights.keys():  # noqa: SIM118 - it can't be iterated
                return True
    return False


def _chat(question: Question) -> str:
    pictures = [_PICTURE] * len(question.images)
    if len(pictures) > 1:
        pictures = [f"Picture {number}: {it}" for number, it in enumerate(pictures, 1)]
    how = "" if question.max_tokens else _YES_OR_NO
    return "".join([_HEAD, *pictures, question.text, how, _TAIL])


def _openings(tokenizer: Any, words: Iterable[str]) -> set[int]:
    """The first token of each word; in Qwen's vocabulary it is the whole word."""
    return {int(tokenizer(word)["input_ids"][0]) for word in words}


def _square(colour: tuple[int, int, int]) -> RGB:
    picture = np.full((168, 168, 3), 255, dtype=np.uint8)
    picture[42:126, 42:126] = colour
    return picture
