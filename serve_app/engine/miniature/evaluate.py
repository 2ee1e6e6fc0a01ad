"""Scores a checkpoint on held-out pairs: `python -m serve_app.engine.miniature.evaluate`.

Edits go through the engine as they do when served, so what is scored is what users get.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from serve_app.config import EngineConfig, FewStepConfig, ModelConfig
from serve_app.edits.job import EditJob
from serve_app.engine.engine import Engine
from serve_app.engine.miniature.changes import CHANGES
from serve_app.engine.miniature.create import read_card
from serve_app.engine.miniature.pretrained import FEW_STEP, MINIATURE, SHIPPED
from serve_app.engine.miniature.scenes import Pair, draw_pair
from serve_app.engine.miniature.scoring import Score, score
from serve_app.engine.miniature.vocabulary import LANGUAGES, Language
from serve_app.engine.miniature.wording import word_instruction
from serve_app.images.pixels import RGB

SEED = 20_261_125
KINDS = tuple(CHANGES)
CONDITION_AREA = 28 * 28


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A held-out pair with its pictures."""

    pair: Pair
    source: RGB
    target: RGB


def examples(count: int, side: int, seed: int = SEED) -> list[Example]:
    """``count`` held-out pairs, kinds by turns; every three are one change in three languages.

    So languages are compared on the same pictures. Equal arguments give equal examples.
    """
    random = Random(seed)
    made: list[Example] = []
    for number in range(-(-count // len(LANGUAGES))):
        pair = draw_pair(random, "held_out", KINDS[number % len(KINDS)], LANGUAGES[0])
        source, target = pair.pictures(side)
        for language in LANGUAGES:
            made.append(Example(_in_language(random, pair, language), source, target))
    return made[:count]


def _in_language(random: Random, pair: Pair, language: Language) -> Pair:
    instruction = word_instruction(random, pair.change, language, held_out=True)
    return Pair(pair.source, pair.change, pair.target, language, instruction)


@dataclass(frozen=True, slots=True)
class Way:
    """How edits are made: steps, guidance, and whether with the few-step adapter."""

    steps: int
    true_cfg_scale: float = 1.0
    few_step: bool = False


def model_config(checkpoint: str, side: int, way: Way) -> ModelConfig:
    """Settings that load ``checkpoint`` on the CPU for edits in that way."""
    adapter = MINIATURE if checkpoint == MINIATURE else f"{checkpoint}/{FEW_STEP.name}"
    return ModelConfig(
        name="miniature",
        checkpoint=checkpoint,
        device="cpu",
        vae_area=side * side,
        condition_area=CONDITION_AREA,
        few_step=FewStepConfig(adapter=Path(adapter)) if way.few_step else None,
    )


def trained_side(checkpoint: str) -> int:
    """Side, pixels, of the pictures a miniature was trained on.

    Raises ``ValueError`` for a checkpoint that doesn't say.
    """
    described = read_card(SHIPPED if checkpoint == MINIATURE else Path(checkpoint))
    if described is None or "side" not in described:
        raise ValueError("This checkpoint is not a trained miniature.")
    return int(described["side"])


def job(example: Example, way: Way, seed: int) -> EditJob:
    """The edit of an example as the service would hand it to the engine."""
    return EditJob(
        images=(example.source,),
        prompt=example.pair.instruction,
        negative_prompt=" ",
        true_cfg_scale=way.true_cfg_scale,
        num_inference_steps=way.steps,
        seed=seed,
    )


async def edit_all(engine: Engine, jobs: Sequence[EditJob], at_once: int = 16) -> list[RGB]:
    """Edit all, ``at_once`` at a time, in order."""
    places = asyncio.Semaphore(at_once)

    async def edit(one: EditJob) -> RGB:
        async with places:
            return (await engine.edit(one)).pixels

    return list(await asyncio.gather(*(edit(one) for one in jobs)))


def scored(examples: Sequence[Example], pictures: Sequence[RGB]) -> list[Score]:
    """The score of every picture."""
    return [
        score(example.pair, example.source, picture, example.target)
        for example, picture in zip(examples, pictures, strict=True)
    ]


def rates(
    examples: Sequence[Example], scores: Sequence[Score]
) -> tuple[dict[str, float], dict[str, float]]:
    """Success rates by kind of change, and by language."""
    kinds: dict[str, list[bool]] = defaultdict(list)
    languages: dict[str, list[bool]] = defaultdict(list)
    for example, one in zip(examples, scores, strict=True):
        kinds[example.pair.change.kind].append(one.succeeded)
        languages[example.pair.language].append(one.succeeded)
    return _means(kinds), _means(languages)


def _means(groups: dict[str, list[bool]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in groups.items()}


def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A folder, or `miniature`.")] = MINIATURE,
    pairs: Annotated[int, typer.Option(help="How many held-out pairs.", min=1)] = 150,
    steps: Annotated[int, typer.Option(help="Denoising steps.", min=1)] = 8,
    scale: Annotated[float, typer.Option(help="true_cfg_scale; 1: no guidance.", min=1)] = 1.0,
    few_step: Annotated[bool, typer.Option(help="With the few-step adapter.")] = False,
) -> None:
    """Print the success rates of a checkpoint by kind of change and by language."""
    way, side = Way(steps, scale, few_step), trained_side(checkpoint)
    drawn = examples(pairs, side)
    engine = Engine.load(model_config(checkpoint, side, way), EngineConfig(max_batch_size=8))
    try:
        started = time.monotonic()
        jobs = [job(example, way, seed) for seed, example in enumerate(drawn)]
        scores = scored(drawn, asyncio.run(edit_all(engine, jobs)))
        seconds = (time.monotonic() - started) / len(drawn)
    finally:
        engine.close()
    kinds, languages = rates(drawn, scores)
    table = Table("edits", "succeeded", title=f"{pairs} held-out pairs, {steps} steps")
    for name, rate in {**kinds, **languages}.items():
        table.add_row(name, f"{rate:.2f}")
    table.add_row("all", f"{np.mean([one.succeeded for one in scores]):.2f}")
    Console().print(table, f"{seconds:.2f} s an edit")


if __name__ == "__main__":
    typer.run(evaluate)
