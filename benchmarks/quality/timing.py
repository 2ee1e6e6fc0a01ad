"""How long one judgement takes at 1024x1024, with and without reading."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import cv2

from benchmarks.quality.suite import Split, samples
from serve_app.config import QualityConfig
from serve_app.images.geometry import resize
from serve_app.quality.case import Case
from serve_app.quality.validator import Validator

THREADS = 2
SIDE = 1024
_KINDS = ("exchange_en", "exchange_zh", "recolour", "put_in", "take_out")


def seconds(split: Split) -> dict[str, float]:
    """Median seconds of a judgement by whether words are read, by turns on the same edits."""
    cv2.setNumThreads(THREADS)
    plain = Validator(QualityConfig(threads=THREADS))
    reading = Validator.open(QualityConfig(threads=THREADS))
    cases = list(_cases(split))
    for validator in (plain, reading):
        validator.judge(cases[0])
    taken: dict[str, list[float]] = {"without": [], "with": []}
    for case in cases:
        for name, validator in (
            ("without", plain),
            ("with", reading),
            ("with", reading),
            ("without", plain),
        ):
            started = time.perf_counter()
            validator.judge(case)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def _cases(split: Split) -> Iterator[Case]:
    for sample in samples(split, 0.4):
        if sample.good and sample.kind in _KINDS:
            case = sample.case
            yield replace(
                case,
                original=resize(case.original, (SIDE, SIDE)),
                edited=resize(case.edited, (SIDE, SIDE)),
                mask=None,
            )
