"""An edit as a user asks for it, validated, before anything is planned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from serve_app.errors import UnusableMask
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage

DEFAULT_PRIORITY = 5
"""Of 0 (whenever there is nothing else to do) to 9 (before everybody)."""


class EditType(StrEnum):
    """What kind of change an instruction asks for; decides the parameters and the checks."""

    SEMANTIC = "semantic"  # style, viewpoint, character: the whole picture may change
    APPEARANCE = "appearance"  # add, remove, replace: the rest must stay
    TEXT = "text"  # words in the picture
    HYBRID = "hybrid"  # several of these


class Quality(StrEnum):
    """How much an edit may cost: which model makes it, and how often it is tried."""

    DRAFT = "draft"  # the few-step model where there is one, and one attempt
    STANDARD = "standard"  # a draft where there are any, and the full model if that fails
    BEST = "best"  # the full model from the start, and all attempts


class CachePolicy(StrEnum):
    """How a request uses the result cache."""

    USE = "use"  # answer from the cache, or fill it
    REFRESH = "refresh"  # run again and replace the entry
    OFF = "off"  # neither read nor write


@dataclass(frozen=True, slots=True)
class ExactSize:
    """A result of exactly this size, in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


OutputSize = Literal["auto", "native"] | ExactSize
"""``auto``: the first input's own size. ``native``: the model's working canvas."""


def require_size_of_masked(size: OutputSize, width: int, height: int) -> None:
    """Raise ``UnusableMask`` unless a result of ``size`` is as large as the image, in pixels.

    What a mask protects stays where it is, which in another size would be nowhere.
    """
    if size not in ("auto", ExactSize(width, height)):
        raise UnusableMask(
            f"With a mask the result has the first image's size, {width}x{height}, but `size` is "
            f"{size}. Leave `size` out.",
            "size",
        )


ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What an adapter may be called: a file of this name, and a field of a request."""


@dataclass(frozen=True, slots=True)
class LoraUse:
    """An adapter of the configured folder by its name, at a strength of -4 to 4.

    ``revision`` is the one that the edit was planned with; any will do without it.
    """

    name: str
    scale: float = 1.0
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One edit of one to four images; ``None`` means "as planned for the edit type".

    ``seed`` is 0 to 2**63 - 1, ``"random"``, or ``None`` to derive it from the content,
    so that identical requests are one edit. ``true_cfg_scale`` is 1 to 20,
    ``num_inference_steps`` 1 to 200, ``max_attempts`` 1 to 4. ``variation`` tells apart
    the images that one request asks for without a seed: the i-th of ``n`` has i, which is
    part of the derived seed, so that they differ and can be made again.

    ``mask`` has the first image's size and needs ``size`` to be ``"auto"`` or that size.
    ``priority`` is 0 to 9. ``deadline_s`` is how long the caller waits, seconds from the
    arrival. ``user`` names the tenant that the device is shared with. None of these three
    changes the image.

    ``expected_text`` should be read in the result and ``old_text`` no longer; without either
    both are what the prompt quotes.
    """

    images: tuple[DecodedImage, ...]
    prompt: str
    edit_type: EditType | Literal["auto"] = "auto"
    negative_prompt: str | None = None
    true_cfg_scale: float | None = None
    num_inference_steps: int | None = None
    seed: int | Literal["random"] | None = None
    size: OutputSize = "auto"
    max_attempts: int | None = None
    cache: CachePolicy = CachePolicy.USE
    variation: int = 0
    mask: EditMask | None = None
    lora: LoraUse | None = None
    priority: int = DEFAULT_PRIORITY
    deadline_s: float | None = None
    user: str | None = None
    quality: Quality | None = None
    expected_text: str | None = None
    old_text: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What was asked, images by id; what was left open is left out.

        So are user, priority and deadline: identical edits share a record, and these are not
        another's to read.
        """
        asked = {
            "images": [image.id for image in self.images],
            "prompt": self.prompt,
            "edit_type": str(self.edit_type),
            "negative_prompt": self.negative_prompt,
            "true_cfg_scale": self.true_cfg_scale,
            "num_inference_steps": self.num_inference_steps,
            "seed": self.seed,
            "size": str(self.size),
            "max_attempts": self.max_attempts,
            "cache": str(self.cache),
            "variation": self.variation or None,
            "mask": self.mask and self.mask.id,
            "quality": self.quality and str(self.quality),
            "expected_text": self.expected_text,
            "old_text": self.old_text,
            "lora": self.lora and {"name": self.lora.name, "scale": self.lora.scale},
        }
        return {name: value for name, value in asked.items() if value is not None}
