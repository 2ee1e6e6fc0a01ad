"""How well the trained miniature edits: `python -m benchmarks.miniature`.

Held-out pairs, every three of them one change in three languages; edits go through the engine
as they do when served. Success is judged against the exact target (`scoring.py`).
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.report import RESULTS, Figure, Target, publish, wide_console
from serve_app.config import EngineConfig, QualityConfig
from serve_app.engine.engine import Engine
from serve_app.engine.miniature.autoencoder_training import psnr, to_tensor
from serve_app.engine.miniature.evaluate import (
    KINDS,
    Example,
    Way,
    edit_all,
    examples,
    job,
    model_config,
    rates,
    scored,
    trained_side,
)
from serve_app.engine.miniature.pretrained import MINIATURE, SHIPPED, open_checkpoint
from serve_app.engine.miniature.scoring import Score
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.report import Report, Verdict
from serve_app.quality.validator import Validator

PAIRS = 500
FULL = Way(steps=8)
FEW = (Way(steps=4, few_step=True), Way(steps=2, few_step=True))
GUIDED = Way(steps=8, true_cfg_scale=2.0)
ATTEMPTS = 4
TIMED = 15
THREADS = 2

TARGETS = {
    "recolour": 0.95,
    "background": 0.95,
    "remove": 0.95,
    "style": 0.95,
    "add": 0.85,
    "move": 0.85,
    "resize": 0.85,
    "swap": 0.85,
    "word": 0.70,
    "word and background": 0.70,
    "other": 0.85,
}
"""Least share of each kind that should succeed; \"other\" should be left alone."""


def main() -> None:
    console = wide_console()
    torch.set_num_threads(THREADS)
    side = trained_side(MINIATURE)
    drawn = examples(PAIRS, side)
    figures: list[Figure] = []
    details: dict[str, Any] = {"pairs": PAIRS, "side": side, "torch_threads": THREADS}
    console.print("Reconstruction by the autoencoder …")
    figures.append(_reconstruction(drawn))
    with _engine(side, FULL) as engine:
        console.print("Full steps …")
        pictures, scores = _score(engine, drawn, FULL, seed=0)
        _full(drawn, scores, figures, details)
        _draw(drawn, pictures)
        console.print("With guidance …")
        some = drawn[: PAIRS // 4]
        details[f"guidance {GUIDED.true_cfg_scale:g}, {len(some)} pairs"] = {
            "with": _share(_score(engine, some, GUIDED, seed=0)[1]),
            "without": _share(scores[: len(some)]),
        }
        console.print("Again where the validator rejects …")
        _best_of(engine, drawn, pictures, scores, figures, details)
        full_seconds = _seconds(engine, drawn, FULL)
    for way in FEW:
        with _engine(side, way) as engine:
            console.print(f"{way.steps} steps with the few-step adapter …")
            _, few = _score(engine, drawn, way, seed=0)
            _few(way, drawn, few, scores, figures, details)
            few_seconds = _seconds(engine, drawn, way)
            _times(way, few_seconds, full_seconds, figures)
    publish(console, "miniature", figures, details)


@contextmanager
def _engine(side: int, way: Way) -> Iterator[Engine]:
    config = EngineConfig(threads=THREADS, max_batch_size=8, max_pending=64)
    engine = Engine.load(model_config(MINIATURE, side, way), config)
    try:
        engine.warm_up()
        yield engine
    finally:
        engine.close()


def _score(
    engine: Engine, drawn: Sequence[Example], way: Way, seed: int
) -> tuple[list[RGB], list[Score]]:
    jobs = [job(example, way, seed + number) for number, example in enumerate(drawn)]
    pictures = asyncio.run(edit_all(engine, jobs))
    return pictures, scored(drawn, pictures)


def _share(scores: Sequence[Score]) -> float:
    return float(np.mean([score.succeeded for score in scores]))


def _full(
    drawn: Sequence[Example],
    scores: Sequence[Score],
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    kinds, languages = rates(drawn, scores)
    counts = {kind: sum(it.pair.change.kind == kind for it in drawn) for kind in kinds}
    for kind in KINDS:
        wrong = [
            score.wrong
            for example, score in zip(drawn, scores, strict=True)
            if example.pair.change.kind == kind
        ]
        beside = f"{counts[kind]} pairs; pixels wrong, median {statistics.median(wrong):.2%}"
        figures.append(
            Figure(
                f"miniature, {kind}",
                kinds[kind],
                "succeed",
                Target(TARGETS[kind], at_most=False),
                beside,
            )
        )
    for language in ("zh", "ko"):
        figures.append(
            Figure(
                f"miniature, worded in {language}: below English by",
                languages["en"] - languages[language],
                "of the rate",
                Target(0.03),
                f"the same changes worded in English {languages['en']:.3f}",
            )
        )
    details["full steps"] = {"by kind": kinds, "by language": languages, "all": _share(scores)}


def _few(
    way: Way,
    drawn: Sequence[Example],
    few: Sequence[Score],
    full: Sequence[Score],
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    figures.append(
        Figure(
            f"miniature, {way.steps} steps with the few-step adapter / {FULL.steps} steps",
            _share(few) / max(_share(full), 1e-9),
            "x success",
            Target(0.9, at_most=False),
            f"{_share(few):.3f} against {_share(full):.3f}",
        )
    )
    details[f"{way.steps} steps, few-step adapter"] = rates(drawn, few)[0]


def _times(way: Way, few: float, full: float, figures: list[Figure]) -> None:
    if way is FEW[0]:
        figures.append(
            Figure(f"miniature, one edit, {FULL.steps} steps", full, "s", Target(2.5), "2 threads")
        )
    beside = f"{FULL.steps} steps {full:.2f} s, 2 threads"
    figures.append(Figure(f"miniature, one edit, {way.steps} steps", few, "s", Target(0.6), beside))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt scored and what the validator said of it."""

    score: Score
    report: Report


def _best_of(
    engine: Engine,
    drawn: Sequence[Example],
    pictures: Sequence[RGB],
    scores: Sequence[Score],
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    """New seeds where the validator rejects, at most four in all; the best is kept.

    The best is that with the least grave report, the first of equals, as the service keeps it.
    """
    tries = [[it] for it in _judged(drawn, pictures, scores)]
    rejected = [number for number, made in enumerate(tries) if _rejected(made[-1])]
    again = rejected
    for attempt in range(1, ATTEMPTS):
        if not again:
            break
        redrawn = [drawn[number] for number in again]
        made, found = _score(engine, redrawn, FULL, seed=10_000 * attempt)
        for number, new in zip(again, _judged(redrawn, made, found), strict=True):
            tries[number].append(new)
        again = [number for number in again if _rejected(tries[number][-1])]
    kept = [min(made, key=lambda it: it.report.severity).score for made in tries]
    single, best = 1 - _share(scores), 1 - _share(kept)
    figures.append(
        Figure(
            "miniature, best of 4 with the validator: failures / those of one attempt",
            best / max(single, 1e-9),
            "x failures",
            Target(0.5),
            f"one attempt fails {single:.3f}; the validator rejected {len(rejected)} of "
            f"{len(drawn)}",
        )
    )
    details["best of 4"] = {"rejected": len(rejected), "to the end": len(again), "fail": best}


def _judged(
    drawn: Sequence[Example], pictures: Sequence[RGB], scores: Sequence[Score]
) -> list[Attempt]:
    validator = Validator(QualityConfig())
    return [
        Attempt(
            score,
            validator.judge(
                Case(it.source, picture, it.pair.edit_type, prompt=it.pair.instruction)
            ),
        )
        for it, picture, score in zip(drawn, pictures, scores, strict=True)
    ]


def _rejected(attempt: Attempt) -> bool:
    return attempt.report.verdict is Verdict.FAIL


def _seconds(engine: Engine, drawn: Sequence[Example], way: Way) -> float:
    """Median seconds of an edit alone: pixels to pixels."""

    async def timed() -> list[float]:
        taken = []
        for number, example in enumerate(drawn[:TIMED]):
            started = time.perf_counter()
            await engine.edit(job(example, way, 50_000 + number))
            taken.append(time.perf_counter() - started)
        return taken

    return statistics.median(asyncio.run(timed()))


def _reconstruction(drawn: Sequence[Example]) -> Figure:
    vae = open_checkpoint(SHIPPED).vae
    ratios = []
    for example in drawn[::3]:  # every scene once
        pixels = to_tensor(example.target[None])
        with torch.no_grad():
            decoded = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
        ratios.append(psnr(float((decoded.clamp(-1, 1) - pixels).pow(2).mean())))
    return Figure(
        "miniature, reconstruction of held-out scenes",
        statistics.mean(ratios),
        "dB",
        Target(30, at_most=False),
        f"{len(ratios)} scenes; lowest {min(ratios):.1f} dB",
    )


def _draw(drawn: Sequence[Example], pictures: Sequence[RGB]) -> None:
    """The first pairs of every kind, not chosen: source, edited, target."""
    shown: Mapping[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for example, picture in zip(drawn[::3], pictures[::3], strict=True):
        strip = np.concatenate([example.source, picture, example.target], axis=1)
        shown[example.pair.change.kind].append(
            np.pad(strip, ((2, 2), (2, 6), (0, 0)), constant_values=255)
        )
    rows = [np.concatenate(strips[:4], axis=1) for strips in shown.values()]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(
        RESULTS / "miniature.png", optimize=True
    )


if __name__ == "__main__":
    main()
