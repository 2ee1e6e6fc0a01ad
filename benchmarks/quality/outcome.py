"""From an exact edit to what a user gets: through the model, the mask and the file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.quality.edit import Edit, Kind
from benchmarks.quality.photos import Photo
from benchmarks.quality.residue import Residue
from serve_app.images.compositing import composite, feather_radius
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case


@dataclass(frozen=True, eq=False)
class Outcome:
    """A good edit of ``photo``, and the way that it takes."""

    photo: Photo
    kind: Kind
    edit: Edit
    residue: Residue

    @classmethod
    def draw(cls, kind: Kind, photo: Photo, seed: int) -> Outcome:
        """Draw an edit and its way; ``seed`` decides both."""
        random = np.random.default_rng(seed)
        return cls(photo, kind, kind.make(photo, random), Residue.draw(random))

    @cached_property
    def output(self) -> RGB:
        """What the model gives, at the original's size."""
        return self.residue.through_model(self.edit.edited)

    def saved(self, output: RGB) -> RGB:
        """``output`` in its mask, if there is one, and as it is read back from the file."""
        mask, original = self.edit.mask, self.edit.original
        if mask is not None:
            height, width, _ = original.shape
            output = composite(original, output, mask, feather_radius(width, height))
        return self.residue.through_file(output)

    def case(self, edited: RGB) -> Case:
        """``edited``, whatever it is, as an answer to what was asked."""
        edit = self.edit
        return Case(
            original=edit.original,
            edited=edited,
            edit_type=self.kind.edit_type,
            mask=edit.mask,
            prompt=edit.prompt,
            text=edit.text,
        )
