"""Two judged edits, as the service draws them: the first of their kinds, not chosen by verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.quality.suite import Sample, Split, samples
from serve_app.config import QualityConfig
from serve_app.quality.annotation import annotated
from serve_app.quality.validator import Validator

_SHOWN = (("wrong_character_en", 1), ("spilt", 3))


def draw(path: Path) -> None:
    """Write both, one above the other, as PNG."""
    validator = Validator.open(QualityConfig())
    pages = [_page(validator, _first(kind, strength)) for kind, strength in _SHOWN]
    width = max(page.shape[1] for page in pages)
    padded = [
        np.pad(page, ((0, 0), (0, width - page.shape[1]), (0, 0)), constant_values=250)
        for page in pages
    ]
    Image.fromarray(np.concatenate(padded)).save(path, optimize=True)


def _first(kind: str, strength: int) -> Sample:
    return next(
        sample
        for sample in samples(Split.TEST)
        if sample.kind == kind and sample.strength == strength
    )


def _page(validator: Validator, sample: Sample) -> np.ndarray:
    judgement = validator.examine(sample.case)
    case, subject = sample.case, judgement.subject
    return annotated(
        case.original,
        case.edited,
        subject.change.delta_e,
        judgement.report,
        subject.full_transform,
    )
