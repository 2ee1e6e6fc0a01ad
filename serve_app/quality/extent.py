"""How far the edit reaches: over all of the picture, beyond its mask, or not into it."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np

from serve_app.edits.classification import mentions_background
from serve_app.images.masks import Box, Editable
from serve_app.quality.change import change_map
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject

_BOXES = 5
"""Changed places that evidence names, the largest first."""


def over_edit(subject: Subject) -> Measurement | None:
    """The share of the picture that changed, 0 to 1.

    With a mask, spill is what counts; and another background may cover most of a picture.
    """
    if subject.protected is not None or mentions_background(subject.case.prompt):
        return None
    changed = subject.change.changed & subject.valid
    return Measurement(float(changed[subject.valid].mean()), {"boxes": places(subject, changed)})


def outside_mask(subject: Subject) -> Measurement | None:
    """The share of what the mask protects that changed, its feather aside; 0 to 1."""
    if subject.protected is None:
        return None
    protected = subject.protected & subject.valid
    if not protected.any():
        return Measurement.unsupported("the mask frees everything")
    spilt = subject.change.changed & protected
    return Measurement(float(spilt.sum() / protected.sum()), {"boxes": places(subject, spilt)})


def inside_mask(subject: Subject) -> Measurement | None:
    """The share of what the mask frees that changed, 0 to 1."""
    if subject.focus is None:
        return None
    return Measurement(change_map(*subject.focus).area)


def places(subject: Subject, changed: Editable) -> list[list[int]]:
    """The largest connected places of ``changed``, as boxes in pixels of the original."""
    _, _, found, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8))
    largest = sorted(found[1:].tolist(), key=lambda place: -place[cv2.CC_STAT_AREA])
    boxes = (Box(left, top, left + width, top + height) for left, top, width, height, _ in largest)
    return [list(subject.on_original(box)) for box in islice(boxes, _BOXES)]
