"""The Qwen2-VL processor for installations without torchvision.

The stock processor needs torchvision only for its video half, which editing never uses.
"""

from __future__ import annotations

from typing import Any

from transformers import Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.utils import is_torchvision_available


class ImageOnlyProcessor(Qwen2VLProcessor):
    """``Qwen2VLProcessor`` without the video processor; images go through PIL."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template, **kwargs)


def load_processor(checkpoint: str, revision: str | None) -> ImageOnlyProcessor | None:
    """Load the image-only processor where the stock one can't be; ``None`` where it can."""
    if is_torchvision_available():
        return None
    return ImageOnlyProcessor(
        Qwen2VLImageProcessorPil.from_pretrained(
            checkpoint, subfolder="processor", revision=revision
        ),
        Qwen2Tokenizer.from_pretrained(checkpoint, subfolder="tokenizer", revision=revision),
    )


def template_prefix_length(pipeline: Any) -> int:
    """Count the tokens of the system prompt, whose hidden states are cut off.

    The stock pipelines say 64, which is right for the Qwen tokenizer only.
    """
    template: str = pipeline.prompt_template_encode
    prefix = template.split("<|vision_start|>")[0].split("{}")[0]
    return len(pipeline.tokenizer(prefix)["input_ids"])
