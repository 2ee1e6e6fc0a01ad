"""Good edits that ask for several things at once."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.quality import objects, regions, styles
from benchmarks.quality.appearance import fitted, put_in, recolour
from benchmarks.quality.edit import Edit, Kind, local
from benchmarks.quality.lab import blend, desaturated, luma, rounded
from benchmarks.quality.photos import Photo, photos
from benchmarks.quality.texts import any_exchange
from serve_app.edits.request import EditType

_SMALLEST_SUBJECT = 0.08
"""Share of the picture from which on there is something to be kept before a background."""


_SHARP = 5.0
"""Deviation of the fine texture, in grey levels, from which on a blur can be seen."""


def recolour_and_grade(photo: Photo, random: Generator) -> Edit:
    """A part in another colour, and another light on all."""
    return _graded(local(recolour)(photo, random), random)


def put_in_and_grade(photo: Photo, random: Generator) -> Edit:
    """A thing put in, and another light on all."""
    return _graded(local(put_in)(photo, random), random)


def replace_background(photo: Photo, random: Generator) -> Edit:
    """The main thing before another photo, or before a studio's wall."""
    kept = regions.subject(photo)
    pixels = photo.pixels
    others = [other for other in photos(photo.split) if other.plain and other.name != photo.name]
    choice = int(random.integers(len(others) + 2))
    if choice < len(others):
        # Out of focus, as what is far behind.
        behind = fitted(others[choice].pixels, pixels.shape)
        behind = cv2.GaussianBlur(behind, (0, 0), float(random.uniform(0.5, 3.0)))
        prompt = f"Replace the background with {others[choice].name}."
    else:
        top, bottom = random.uniform(30, 230, (2, 3))
        down = np.linspace(0.0, 1.0, pixels.shape[0])[:, None, None]
        wall = (1 - down) * top + down * bottom + np.zeros(pixels.shape)
        behind = rounded(wall + random.normal(0.0, 1.0, pixels.shape))
        prompt = "Put it before a plain studio background."
    if not photo.coloured:
        behind = desaturated(behind)
    return Edit(pixels, blend(behind, pixels, kept), prompt, 1.0 - kept)


def blur_background(photo: Photo, random: Generator) -> Edit:
    """The main thing in focus and nothing else."""
    kept = regions.subject(photo)
    sigma = max(photo.pixels.shape) * float(random.uniform(0.008, 0.014))
    # Without the thing itself, which would shine into its surroundings.
    behind = (1.0 - kept)[..., None]
    spread = cv2.GaussianBlur(photo.pixels * behind, (0, 0), sigma)
    weight = cv2.GaussianBlur(behind, (0, 0), sigma)[..., None]
    blurred = rounded(spread / np.maximum(weight, 0.02))
    blurred = np.where(weight > 0.02, blurred, photo.pixels)
    edited = blend(blurred, photo.pixels, kept)
    return Edit(photo.pixels, edited, "Blur the background and make it softer.", 1.0 - kept)


def exchange_and_grade(photo: Photo, random: Generator) -> Edit:
    """Other words on a sign, and another light on all."""
    return _graded(replace(any_exchange(photo, random), lettered=None), random)


def exchange_and_put_in(photo: Photo, random: Generator) -> Edit:
    """Other words on a sign, and a thing beside or behind it."""
    words = any_exchange(photo, random)
    lettered = words.lettered
    if lettered is None:
        raise ValueError("there are no words to exchange")

    def beside(photo: Photo, random: Generator) -> Edit:
        placed = objects.place(photo, random)
        edited = lettered.sign.draw(placed.pixels, lettered.lines)
        prompt = f"{words.prompt.rstrip('.')} and add {placed.name}."
        return replace(
            words,
            original=words.edited,
            edited=edited,
            prompt=prompt,
            touched=np.maximum(words.touched, placed.alpha),
            lettered=None,
        )

    return replace(local(beside)(photo, random), original=words.original)


def _graded(edit: Edit, random: Generator) -> Edit:
    if random.random() < 0.5:
        edited, light = styles.warm(edit.edited, random), "warm"
    else:
        edited, light = styles.cool(edit.edited, random), "cold"
    prompt = f"{edit.prompt.rstrip('.')} and give the photo a {light} light."
    return replace(edit, edited=edited, prompt=prompt)


def _has_subject(photo: Photo) -> bool:
    return photo.subject is not None and float(regions.subject(photo).mean()) > _SMALLEST_SUBJECT


def _has_sharp_background(photo: Photo) -> bool:
    if not _has_subject(photo):
        return False
    grey = luma(photo.pixels)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 2.0)
    return float(fine[regions.subject(photo) < 0.02].std()) > _SHARP


def _bright(photo: Photo) -> bool:
    return photo.bright


def _has_room(photo: Photo) -> bool:
    return photo.plain


def _bright_with_room(photo: Photo) -> bool:
    return photo.bright and photo.plain


KINDS = tuple(
    Kind(name, EditType.HYBRID, make, suits)
    for name, make, suits in (
        ("recolour_and_grade", recolour_and_grade, _bright),
        ("put_in_and_grade", put_in_and_grade, _bright),
        ("replace_background", replace_background, _has_subject),
        ("blur_background", blur_background, _has_sharp_background),
        ("exchange_and_grade", exchange_and_grade, _bright_with_room),
        ("exchange_and_put_in", exchange_and_put_in, _has_room),
    )
)
