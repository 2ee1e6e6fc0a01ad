"""The two sides of the comparison: this engine's steps, and the stock pipeline."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from PIL import Image

from benchmarks.gpu.architecture import Size
from benchmarks.gpu.device import Device, Stages
from benchmarks.gpu.workload import NEGATIVE, Edit, denoise, start
from serve_app.engine.decode import decode_latents
from serve_app.images.encoding import encode

STAGES = ("text_encode", "vae_encode", "denoise", "decode", "png")


@dataclass(frozen=True)
class Edited:
    """One edit: its seconds from picture to PNG, those of its stages, its last latents."""

    seconds: float
    stages: dict[str, float]
    latents: torch.Tensor
    finite: bool


class Ours:
    """This engine's step between the stock pipeline's encoders and decoder."""

    def __init__(self, pipeline: Any, size: Size, device: Device, *, stacked: bool) -> None:
        self._pipeline, self._size, self._device, self._stacked = pipeline, size, device, stacked

    @torch.no_grad()
    def edit(self, edit: Edit, image: Image.Image) -> Edited:
        pipeline, stages = self._pipeline, Stages(self._device)
        started = self._device.now()
        with stages.stage("text_encode"):
            side = round(self._size.condition_area**0.5)
            condition = pipeline.image_processor.resize(image, side, side)
            positive = pipeline.encode_prompt(edit.prompt, image=[condition])[0]
            negative = (
                pipeline.encode_prompt(NEGATIVE, image=[condition])[0] if edit.guided else None
            )
        with stages.stage("vae_encode"):
            pixels = pipeline.image_processor.preprocess(image, edit.side, edit.side)
            latents, references = pipeline.prepare_latents(
                [pixels.unsqueeze(2)],
                1,
                pipeline.transformer.config.in_channels // 4,
                edit.side,
                edit.side,
                positive.dtype,
                self._device.torch,
                torch.Generator("cpu").manual_seed(edit.seed),
            )
        with stages.stage("denoise"):
            state = start(pipeline, edit, latents, references, positive, negative)
            denoise(pipeline.transformer, [state], stack_guidance=self._stacked)
        with stages.stage("decode"):
            levels, finite = decode_latents(pipeline, state.latents, edit.side, edit.side)
        with stages.stage("png"):
            encode(levels)
        return Edited(self._device.now() - started, stages.seconds, state.latents, finite)


class Stock:
    """The plain ``pipeline(...)`` call of diffusers, its stages timed from outside."""

    def __init__(self, pipeline: Any, size: Size, device: Device) -> None:
        self._pipeline, self._size, self._device = pipeline, size, device

    def edit(self, edit: Edit, image: Image.Image) -> Edited:
        stages = Stages(self._device)
        started = self._device.now()
        with self._timed(stages):
            images, latents = self._call(
                edit, image, stages, "pil", prompt=edit.prompt, negative=NEGATIVE
            )
        with stages.stage("png"):
            images[0].save(io.BytesIO(), format="PNG")
        finite = bool(torch.isfinite(latents).all())
        return Edited(self._device.now() - started, stages.seconds, latents, finite)

    def denoise(
        self, edit: Edit, image: Image.Image, positive: torch.Tensor, negative: torch.Tensor | None
    ) -> dict[str, float]:
        """Stop before decoding, from ready embeddings (1, length, width): seconds by stage."""
        stages = Stages(self._device)
        self._call(
            edit, image, stages, "latent", prompt_embeds=positive, negative_prompt_embeds=negative
        )
        return stages.seconds

    def _call(
        self,
        edit: Edit,
        image: Image.Image,
        stages: Stages,
        output_type: str,
        *,
        prompt: str | None = None,
        negative: str | None = None,
        **embeddings: torch.Tensor | None,
    ) -> tuple[Any, torch.Tensor]:
        """Call the pipeline; time from the transformer's first forward to the last step's end."""
        began: list[float] = []
        latents: list[torch.Tensor] = []

        def first_forward(*_: Any) -> None:
            if not began:
                began.append(self._device.now())

        def step_end(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if step == edit.steps - 1:
                stages.add("denoise", self._device.now() - began[0])
                latents.append(tensors["latents"])
            return tensors

        hook = self._pipeline.transformer.register_forward_pre_hook(first_forward)
        try:
            with self._areas(edit):
                images = self._pipeline(
                    image=[image],
                    prompt=prompt,
                    negative_prompt=negative if edit.guided else None,
                    true_cfg_scale=edit.scale,
                    num_inference_steps=edit.steps,
                    height=edit.side,
                    width=edit.side,
                    generator=torch.Generator("cpu").manual_seed(edit.seed),
                    output_type=output_type,
                    callback_on_step_end=step_end,
                    **embeddings,
                ).images
        finally:
            hook.remove()
        return images, latents[0]

    def _areas(self, edit: Edit) -> Any:
        """The pipeline's canvas areas are constants; at 1024x1024 these are their values."""
        return patch.multiple(
            pipeline_qwenimage_edit_plus,
            VAE_IMAGE_SIZE=edit.side**2,
            CONDITION_IMAGE_SIZE=self._size.condition_area,
        )

    @contextmanager
    def _timed(self, stages: Stages) -> Iterator[None]:
        def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def within(*args: Any, **kwargs: Any) -> Any:
                with stages.stage(stage):
                    return call(*args, **kwargs)

            return within

        pipeline = self._pipeline
        with (
            patch.object(pipeline, "encode_prompt", timed("text_encode", pipeline.encode_prompt)),
            patch.object(
                pipeline, "prepare_latents", timed("vae_encode", pipeline.prepare_latents)
            ),
            patch.object(pipeline.vae, "decode", timed("decode", pipeline.vae.decode)),
        ):
            yield
