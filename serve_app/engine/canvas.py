"""Lays an edit out on the model's canvases, and brings its result back to size."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.edits.job import EditJob
from serve_app.edits.request import ExactSize
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask
from serve_app.images.geometry import Canvas, resize, scaled_to_area
from serve_app.images.pixels import RGB


@dataclass(frozen=True, slots=True)
class Layout:
    """The output canvas of one edit, the size it is brought to, one canvas per input."""

    output: Canvas
    size: tuple[int, int]
    references: tuple[Canvas, ...]
    condition_area: int | None

    @classmethod
    def of(cls, job: EditJob, checkpoint: Checkpoint) -> Layout:
        """Choose the canvases. The first image is the one edited: it sets the result's size."""
        area, multiple = checkpoint.vae_area, checkpoint.multiple
        place = Canvas.native if job.size == "native" else Canvas.fit
        references = tuple(
            place(image.shape[1], image.shape[0], area, multiple) for image in job.images
        )
        output = references[0]
        if isinstance(job.size, ExactSize):
            output = place(job.size.width, job.size.height, area, multiple)
        size = output.size if job.size == "native" else output.source_size
        # The first Qwen-Image-Edit shows the text encoder the reference itself.
        condition_area = checkpoint.condition_area if checkpoint.plus else None
        return cls(output, size, references, condition_area)

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
        )

    def _condition(self, reference: RGB) -> RGB:
        if self.condition_area is None:
            return reference
        height, width, _ = reference.shape
        return resize(reference, scaled_to_area(width, height, self.condition_area))

    def restore(self, pixels: RGB) -> RGB:
        """Undo the output canvas: pixels of exactly the size that was asked for."""
        return self.output.restore(pixels, self.size)
