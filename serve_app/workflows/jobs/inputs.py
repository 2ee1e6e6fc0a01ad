"""From the ids in a plan to the pixels of a request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

from serve_app.config import LimitsConfig
from serve_app.edits.recorded import recorded_request
from serve_app.edits.request import EditRequest, require_size_of_masked
from serve_app.edits.result import EditResult
from serve_app.errors import NotFound
from serve_app.images.decoding import decode
from serve_app.images.framing import Fit, Frame, framed
from serve_app.images.geometry import resize
from serve_app.images.mask_reading import read_stored_mask
from serve_app.images.masks import Box, EditMask, require_usable
from serve_app.images.pixels import RGB, DecodedImage
from serve_app.storage.files import FileStore
from serve_app.storage.results import RESULT_ID, ResultStore
from serve_app.workflows.brand_sets.plan import Framing
from serve_app.workflows.jobs.plan import JobPlan, StepPlan


class Inputs:
    """Reads what this service stored itself: the size of such files is not limited again."""

    def __init__(self, files: FileStore, results: ResultStore, limits: LimitsConfig) -> None:
        self._files = files
        self._results = results
        self._limits = limits.model_copy(update={"image_bytes": 2**62})

    async def request(
        self, plan: JobPlan, step: StepPlan, image_ids: Sequence[str], variation: int
    ) -> EditRequest:
        """The request of ``step`` on the images ``image_ids``.

        Raises ``NotFound`` for a file that is gone, and ``UnusableMask``.
        """
        images = [await self.image(image_id) for image_id in image_ids]
        if step.framing is not None:
            step, images[0] = await asyncio.to_thread(
                _in_frame, step, step.framing, images[0], self._limits.image_pixels
            )
        asked = {
            **step.parameters,
            "priority": plan.priority,
            "user": plan.user,
            "variation": variation,
        }
        mask = await self._mask(step, images[0])
        request = recorded_request(asked, images, mask)
        if mask is not None:
            require_size_of_masked(request.size, images[0].width, images[0].height)
        return request

    async def image(self, image_id: str) -> DecodedImage:
        """The pixels of a file or a result; raises ``NotFound``."""
        stored = self._results.image if RESULT_ID.fullmatch(image_id) else self._files.png
        png = await stored(image_id)
        if png is None:
            raise NotFound(f"The image {image_id} is not stored any more.", "image")
        return await self.decoded(png)

    async def result(self, result_id: str) -> EditResult | None:
        """A result of before; ``None`` if it is not stored any more."""
        png, record = await self._results.image(result_id), await self._results.metadata(result_id)
        if png is None or record is None:
            return None
        return EditResult(
            id=result_id,
            png=png,
            width=record["width"],
            height=record["height"],
            seed=record["seed"],
            verdict=record["verdict"],
            attempts=len(record["attempts"]),
            metadata=record,
        )

    async def decoded(self, png: bytes) -> DecodedImage:
        """The pixels of one of the service's own PNGs."""
        return await asyncio.to_thread(decode, png, self._limits, "image")

    async def _mask(self, step: StepPlan, image: DecodedImage) -> EditMask | None:
        if step.mask is not None:
            png = await self._files.png(step.mask)
            if png is None:
                raise NotFound(f"The mask {step.mask} is not stored any more.", "mask")
            mask = await asyncio.to_thread(read_stored_mask, png, self._limits, "mask")
        elif (box := step.parameters.get("mask_box")) is not None:
            mask = EditMask.of_box(Box(*box), image.width, image.height)
        else:
            return None
        require_usable(mask.editable, image.width, image.height)
        return mask


def _in_frame(
    step: StepPlan, framing: Framing, image: DecodedImage, most_pixels: int
) -> tuple[StepPlan, DecodedImage]:
    """``image`` in the shape it is wanted in, and ``step`` with what there is to do for that."""
    frame = Frame(framing.width, framing.height, framing.fit)
    made = framed(_small_enough(image.pixels, framing, most_pixels), frame)
    if made.how is Fit.PAD:
        prompt = f"{step.parameters['prompt']} {framing.outpainting}"
        step = replace(step, parameters={**step.parameters, "prompt": prompt})
    return step, DecodedImage.of(made.pixels)


def _small_enough(pixels: RGB, framing: Framing, most_pixels: int) -> RGB:
    """``pixels``, shrunk where a canvas around all of them would have more than ``most_pixels``."""
    if framing.fit is Fit.CROP:
        return pixels
    height, width, _ = pixels.shape
    aspect = framing.width / framing.height
    canvas = max(width, height * aspect) * max(height, width / aspect)
    scale = min(1.0, math.sqrt(most_pixels / canvas))
    return resize(pixels, (max(1, int(scale * width)), max(1, int(scale * height))))
