"""Trains the miniature from nothing: `python -m serve_app.engine.miniature.train --minutes N`.

Four stages share the time: autoencoder, text encoder, transformer, few-step adapter. Run the
same command again to go on after an interruption, or with more minutes to train the
transformer longer; `--start-from` goes on from a finished checkpoint, such as the one that
ships, whose autoencoder and text encoder then stay as they are.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from torch.optim import AdamW
from transformers import Qwen2Tokenizer

from serve_app.engine.miniature import autoencoder_training, text_training
from serve_app.engine.miniature.architecture import LARGE, SMALL, Sizes, assemble
from serve_app.engine.miniature.create import read_card, save_miniature
from serve_app.engine.miniature.curve import draw_curve
from serve_app.engine.miniature.few_step_training import save_few_step, train_few_step
from serve_app.engine.miniature.flow_training import (
    FlowMatching,
    Prompts,
    make_trainable_fast,
    optimizers,
    zero_gates,
)
from serve_app.engine.miniature.latent_pool import LatentPool, Latents
from serve_app.engine.miniature.pretrained import (
    card,
    open_checkpoint,
    plain_copy,
    silence_vision,
)
from serve_app.engine.miniature.single_frame import specialise_for_single_frames
from serve_app.engine.miniature.stage import Stage
from serve_app.engine.miniature.text_training import TextReader, TokenTemplate, corpus
from serve_app.engine.miniature.tokenizer import word_tokenizer

SHARES = {"autoencoder": 0.19, "text": 0.06, "transformer": 0.68, "few_step": 0.07}
FAMILIES = {"small": 8_000, "large": 40_000}
_VOCABULARY = 1536
SIZES: dict[str, Sizes] = {"small": SMALL, "large": LARGE}

Size = Literal["small", "large"]

console = Console()


def train(
    minutes: Annotated[
        float,
        typer.Option(
            help="Time for all stages together; drawing the pictures comes on top.", min=0.5
        ),
    ] = 120,
    out: Annotated[Path, typer.Option(help="Folder for states, logs and the result.")] = Path(
        "miniature-training"
    ),
    size: Annotated[
        Size, typer.Option(help="small: 64x64, for CPUs. large: 128x128, for a GPU.")
    ] = "small",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="A trained checkpoint to go on from; its size counts.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as torch thinks best.")] = 0,
) -> None:
    """Train the miniature, resuming what is in OUT; the result lies in OUT/checkpoint."""
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    try:
        training = Training(size, out, minutes * 60, torch.device(device), start_from)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    training.run()
    console.print(f"Trained: {out / 'checkpoint'}; learning curves: {out / 'curves.png'}")


class Training:
    """All stages in order; each is skipped where it is done or the next has begun.

    Raises ``ValueError`` if ``out`` holds a training of another kind, or ``start_from`` no
    trained miniature.
    """

    def __init__(
        self,
        size: Size,
        out: Path,
        seconds: float,
        device: torch.device,
        start_from: Path | None = None,
        sizes: Sizes | None = None,
        families: int | None = None,
        log_every: int = 50,
    ) -> None:
        self._earlier_minutes = 0.0
        if start_from is not None:
            described = read_card(start_from)
            if described is None or described.get("size") not in SIZES:
                raise ValueError("--start-from is not a trained miniature.")
            size = described["size"]
            self._earlier_minutes = float(described["trained_minutes"])
        self._size = size
        self._sizes = sizes or SIZES[size]
        self._families = families or FAMILIES[size]
        self._out = out
        self._seconds = seconds
        self._log_every = log_every
        self._device = device
        self._fresh = start_from is None
        _require_same_run(out, {"size": size, "start_from": start_from and str(start_from)})
        if start_from is None:
            self._pipeline = assemble(self._sizes, _tokenizer(out / "tokenizer"))
            silence_vision(self._pipeline.text_encoder)
        else:
            self._pipeline = open_checkpoint(start_from)
        self._pipeline.to(device)
        self._stages: list[Stage] = []

    def run(self) -> None:
        """Train what is left, and write the checkpoint and the curves."""
        pipeline, sizes = self._pipeline, self._sizes
        specialise_for_single_frames(pipeline.vae)
        if self._fresh:
            self._train_autoencoder()
            self._train_text_encoder()
        pipeline.vae.requires_grad_(False)
        pipeline.text_encoder.requires_grad_(False)
        pool = LatentPool(Latents(pipeline.vae, sizes), sizes, self._families, self._seed())
        with console.status("Drawing pairs …") as status:
            for share in pool.fill():
                status.update(f"Drawing pairs … {min(share, 1):.0%}")
        flow = FlowMatching(
            pipeline.transformer,
            Prompts(pipeline.text_encoder, pipeline.tokenizer),
            pool,
            sizes,
            self._device,
            seed=self._seed(),
        )
        self._train_transformer(flow)
        draw_curve(self._out, self._out / "curves.png")
        plain = plain_copy(pipeline, sizes)
        few_step = train_few_step(flow, self._out, self._budget("few_step"))
        draw_curve(self._out, self._out / "curves.png")
        self._write(plain, few_step)

    def _budget(self, stage: str) -> float:
        """Seconds of a stage; a checkpoint that is gone on from has its first two behind it."""
        left = SHARES if self._fresh else {name: SHARES[name] for name in _OF_TRANSFORMER}
        return left[stage] / sum(left.values()) * self._seconds

    def _seed(self) -> int:
        """Another one for each run, so that a resumed one sees other pictures."""
        logged = sum(len(log.read_text().splitlines()) for log in self._out.glob("*.jsonl"))
        return logged + (0 if self._fresh else 1_000_000)

    def _begun(self, *stages: str) -> bool:
        return any((self._out / f"{stage}.pt").is_file() for stage in stages)

    def _write(self, plain: Any, few_step: dict[str, torch.Tensor]) -> None:
        """Replace the result by the new one when that is complete."""
        minutes = self._earlier_minutes + sum(stage.spent for stage in self._stages) / 60
        unfinished, finished = self._out / "checkpoint.unfinished", self._out / "checkpoint"
        shutil.rmtree(unfinished, ignore_errors=True)
        save_miniature(unfinished, plain, card(self._size, self._sizes.side, minutes))
        save_few_step(few_step, unfinished)
        if finished.is_dir():
            shutil.rmtree(finished)
        unfinished.rename(finished)

    def _train_autoencoder(self) -> None:
        vae = self._pipeline.vae
        optimizer = AdamW(
            vae.parameters(),
            lr=autoencoder_training.LEARNING_RATE,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )
        stage = Stage(
            "autoencoder",
            vae,
            [optimizer],
            self._out,
            self._budget("autoencoder"),
            warm_up=100,
            constant_until=0.0,
            log_every=self._log_every,
        )
        stage.complete(
            lambda: autoencoder_training.loss_of_steps(vae, self._sizes, self._device),
            frozen=self._begun("text", "transformer"),
        )
        self._stages.append(stage)
        autoencoder_training.set_latent_statistics(vae, self._sizes)

    def _train_text_encoder(self) -> None:
        tokenizer = self._pipeline.tokenizer
        template = TokenTemplate.of(tokenizer)
        reader = TextReader(self._pipeline.text_encoder, self._sizes.text_width, template)
        reader.to(self._device)
        optimizer = AdamW(reader.parameters(), lr=text_training.LEARNING_RATE, betas=(0.9, 0.98))
        stage = Stage(
            "text",
            reader,
            [optimizer],
            self._out,
            self._budget("text"),
            decay=0.99,
            warm_up=100,
            constant_until=0.0,
            log_every=self._log_every,
        )
        stage.complete(
            lambda: text_training.loss_of_steps(reader, tokenizer),
            frozen=self._begun("transformer"),
        )
        self._stages.append(stage)
        read_right = text_training.understood(reader, tokenizer)
        console.print(f"Instructions read right in all: {read_right:.1%}")

    def _train_transformer(self, flow: FlowMatching) -> None:
        transformer = self._pipeline.transformer
        if self._fresh:
            zero_gates(transformer)
        else:
            flow.copies = 0.0
        make_trainable_fast(transformer, self._sizes.head_dim)
        stage = Stage(
            "transformer",
            transformer,
            optimizers(transformer),
            self._out,
            self._budget("transformer"),
            decay=0.9985,
            log_every=self._log_every,
        )
        for block in transformer.transformer_blocks:
            block.compile()
        stage.complete(flow.loss_of_steps)
        self._stages.append(stage)


_OF_TRANSFORMER = ("transformer", "few_step")


def _require_same_run(out: Path, settings: dict[str, Any]) -> None:
    """Note what ``out`` is a training of, or raise ``ValueError`` if it is one of another."""
    out.mkdir(parents=True, exist_ok=True)
    noted = out / "run.json"
    if not noted.is_file():
        noted.write_text(json.dumps(settings) + "\n")
    elif json.loads(noted.read_text()) != settings:
        raise ValueError(f"{out} holds a training with other options; choose another --out.")


def _tokenizer(folder: Path) -> Any:
    """The training's tokenizer: made once, since what was learned is bound to its tokens."""
    if not folder.is_dir():
        made = word_tokenizer(corpus(seed=0, count=20_000), _VOCABULARY)
        made.save_pretrained(folder)
    return Qwen2Tokenizer.from_pretrained(folder)


if __name__ == "__main__":
    typer.run(train)
