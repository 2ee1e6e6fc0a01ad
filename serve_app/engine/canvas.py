"""Lays an edit out on the model's canvases, and brings its result back to size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serve_app.edits.job import EditJob
from serve_app.edits.request import ExactSize, OutputSize, require_size_of_masked
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask
from serve_app.images.compositing import composite, feather_radius
from serve_app.images.geometry import Canvas, resize, scaled_to_area
from serve_app.images.masks import Editable, require_usable, resized
from serve_app.images.pixels import RGB


@dataclass(frozen=True, slots=True, eq=False)
class Protected:
    """The edited image (height, width, 3), and where it may change (height, width)."""

    original: RGB
    editable: Editable

    @classmethod
    def of(cls, job: EditJob) -> Protected | None:
        """What a job's mask protects, if it has one.

        Raises ``UnusableMask`` for a mask of another size than the first image, one that
        leaves nothing to edit, and a result of another size, in which the protected pixels
        have no place.
        """
        if job.mask is None:
            return None
        original = job.images[0]
        height, width, _ = original.shape
        require_size_of_masked(job.size, width, height)
        require_usable(job.mask, width, height)
        return cls(original, job.mask)

    def on(self, canvas: Canvas) -> Editable:
        """Lay the mask out on the image's canvas (canvas height, canvas width).

        A canvas pixel is editable if any image pixel under it is, so that resampling loses
        none. The border repeats the mask's edge as it repeats the image's: it is changed
        with what it continues, and kept with what it continues.
        """
        content = resized(self.editable, (canvas.content_width, canvas.content_height))
        right = canvas.width - canvas.content_width
        below = canvas.height - canvas.content_height
        return np.pad(content, ((0, below), (0, right)), mode="edge")

    def put_back(self, edited: RGB) -> RGB:
        """Return ``edited`` with the original's own pixels wherever the mask is not near."""
        height, width = self.editable.shape
        return composite(self.original, edited, self.editable, feather_radius(width, height))


def canvases(
    images: Sequence[RGB], size: OutputSize, checkpoint: Checkpoint
) -> tuple[Canvas, tuple[Canvas, ...]]:
    """Choose the output's canvas and one for each of ``images``; the first sets the output's."""
    area, multiple = checkpoint.vae_area, checkpoint.multiple
    place = Canvas.native if size == "native" else Canvas.fit
    references = tuple(place(image.shape[1], image.shape[0], area, multiple) for image in images)
    output = references[0]
    if isinstance(size, ExactSize):
        output = place(size.width, size.height, area, multiple)
    return output, references


@dataclass(frozen=True, slots=True)
class Layout:
    """The output canvas of one edit, the size it is brought to, one canvas per input.

    ``protected`` is what a mask keeps of the first image.
    """

    output: Canvas
    size: tuple[int, int]
    references: tuple[Canvas, ...]
    condition_area: int | None
    protected: Protected | None = None

    @classmethod
    def of(cls, job: EditJob, checkpoint: Checkpoint) -> Layout:
        """Choose the canvases. The first image is the one edited: it sets the result's size.

        Raises ``UnusableMask`` for a mask that doesn't fit to the image or to the size.
        """
        output, references = canvases(job.images, job.size, checkpoint)
        size = output.size if job.size == "native" else output.source_size
        # The first Qwen-Image-Edit shows the text encoder the reference itself.
        condition_area = checkpoint.condition_area if checkpoint.plus else None
        return cls(output, size, references, condition_area, Protected.of(job))

    def task(self, job: EditJob) -> CanvasTask:
        """Place the job's images: CPU work, some ten milliseconds per megapixel."""
        placed = tuple(
            canvas.place(image) for canvas, image in zip(self.references, job.images, strict=True)
        )
        return CanvasTask(
            references=placed,
            conditions=tuple(self._condition(image) for image in placed),
            width=self.output.width,
            height=self.output.height,
            prompt=job.prompt,
            negative_prompt=job.negative_prompt,
            true_cfg_scale=job.true_cfg_scale,
            num_inference_steps=job.num_inference_steps,
            seed=job.seed,
            partial_images=job.partial_images,
            mask=None if self.protected is None else self.protected.on(self.output),
            lora=job.lora,
            few_step=job.few_step,
            priority=job.priority,
            tenant=job.tenant,
        )

    def _condition(self, reference: RGB) -> RGB:
        if self.condition_area is None:
            return reference
        height, width, _ = reference.shape
        return resize(reference, scaled_to_area(width, height, self.condition_area))

    def restore(self, pixels: RGB) -> RGB:
        """Undo the output canvas: pixels of exactly the size that was asked for.

        What a mask protects is the original's, bit for bit.
        """
        restored = self.output.restore(pixels, self.size)
        return restored if self.protected is None else self.protected.put_back(restored)
