"""A judge that compares both pictures with the instruction's words, in a CLIP or SigLIP.

The score is the probability that the model itself gives to "these words belong to the edited
picture rather than to the original", its own zero-shot classification of one text over two
pictures (Radford et al., 2021):

    score = sigmoid(scale * (cos(edited, words) - cos(original, words)))

with the ``scale`` it was trained with (SigLIP's bias cancels out). One half is no gain. It is
the weaker judge: it sees whether the picture moved towards the words, not whether all of them
were followed or anything else changed. It can't tell that something is gone, since what was
removed is named, nor spell; about such instructions it says nothing. CLIP reads English;
SigLIP 2 reads other languages, too.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPModel, SiglipModel

from serve_app.config import JudgeConfig
from serve_app.edits.classification import takes_away
from serve_app.edits.request import EditType
from serve_app.errors import ConfigurationError
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.opinion import Answer, Opinion

logger = logging.getLogger(__name__)

QUESTION = "Does the edited picture fit the instruction better than the original?"
_PARAM = "quality.judge.checkpoint"


class SimilarityJudge:
    """Judges by the configured checkpoint, with so many CPU ``threads`` of its process.

    Weights are read from safetensors files only. Raises ``ConfigurationError`` for a hub id
    without a pinned revision, a missing device, or anything but a CLIP or SigLIP.
    """

    def __init__(self, config: JudgeConfig, threads: int) -> None:
        torch.set_num_threads(threads)
        source, revision = _locate(config)
        try:
            self._model = AutoModel.from_pretrained(source, revision=revision, use_safetensors=True)
            self._tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
            self._processor = AutoImageProcessor.from_pretrained(source, revision=revision)
        except (OSError, ValueError, KeyError) as error:
            logger.warning("the judge's checkpoint can't be opened: %s", error)
            raise ConfigurationError(
                f"`{_PARAM}` is not a CLIP or SigLIP with a tokenizer, an image processor and "
                "safetensors weights.",
                _PARAM,
            ) from error
        if not isinstance(self._model, CLIPModel | SiglipModel):
            name = type(self._model).__name__
            raise ConfigurationError(f"`{_PARAM}` is a {name}; use a CLIP or SigLIP.", _PARAM)
        self._model.eval().to(_device(config.device))
        self._threshold = config.threshold

    async def opinion(self, case: Case) -> Opinion | None:
        """Judge in a thread; ``None`` for text, for removals, and without an instruction."""
        prompt = case.prompt.strip()
        if not prompt or case.edit_type is EditType.TEXT or takes_away(prompt):
            return None
        score = await asyncio.to_thread(self.score, case.original, case.edited, prompt)
        return Opinion("similarity", score, self._threshold, (Answer(QUESTION, score),))

    @torch.inference_mode()
    def score(self, original: RGB, edited: RGB, words: str) -> float:
        """How surely ``words`` belong to ``edited`` rather than to ``original``, 0 to 1."""
        before, after = self._of_pictures(original, edited) @ self._of_words(words)
        return float(torch.sigmoid(self._model.logit_scale.exp() * (after - before)))

    def _of_pictures(self, *pictures: RGB) -> torch.Tensor:
        """Unit vectors (pictures, width)."""
        images = [Image.fromarray(picture) for picture in pictures]
        inputs = self._processor(images=images, return_tensors="pt").to(self._model.device)
        return _unit(self._model.get_image_features(pixel_values=inputs["pixel_values"]))

    def _of_words(self, words: str) -> torch.Tensor:
        """A unit vector (width,); what is longer than the model reads is cut off."""
        # SigLIP was trained on texts padded to its full length; CLIP doesn't see the padding.
        length = self._model.config.text_config.max_position_embeddings
        inputs = self._tokenizer(
            [words], padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).to(self._model.device)
        return _unit(self._model.get_text_features(**inputs))[0]


def _unit(features: Any) -> torch.Tensor:
    pooled: torch.Tensor = features.pooler_output
    return torch.nn.functional.normalize(pooled.float(), dim=-1)


def _locate(config: JudgeConfig) -> tuple[str, str | None]:
    checkpoint = config.checkpoint or ""
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return str(folder), None
    if config.revision is None:
        raise ConfigurationError(
            f"`{_PARAM}` is no folder. If it is a hub id, set `quality.judge.revision`, a commit, "
            "so that its weights can't change under a running service.",
            _PARAM,
        )
    return checkpoint, config.revision


def _device(wanted: str) -> torch.device:
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not present[wanted]:
        raise ConfigurationError(
            f"`quality.judge.device` is {wanted}, which this machine lacks.", "quality.judge.device"
        )
    return torch.device(wanted)
