"""What was accepted as a brand set: ids, words and sizes, never pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serve_app.images.framing import Fit
from serve_app.images.logo import Position


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture that is put over each result; ``opacity`` is the file of its transparency, if any.

    ``width`` is its share of the result's width.
    """

    image: str
    opacity: str | None = None
    position: Position = Position.BOTTOM_RIGHT
    width: float = 0.2


@dataclass(frozen=True, slots=True)
class Brand:
    """What all pictures of a brand have in common; ``colors`` are ``#RRGGBB``."""

    name: str | None = None
    colors: tuple[str, ...] = ()
    style: str | None = None
    font: str | None = None
    logo: Logo | None = None


@dataclass(frozen=True, slots=True)
class Variation:
    """One wish for the picture; ``parameters`` are those of its edits, the prompt aside."""

    name: str
    prompt: str
    parameters: dict[str, Any]
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class TargetFormat:
    """A size in pixels, and the platform that it is for."""

    name: str
    platform: str
    width: int
    height: int

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def size(self) -> str:
        """As in names of files."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Framing:
    """The shape that a picture is brought to before it is edited.

    ``outpainting`` is added to the prompt if that enlarges the canvas.
    """

    width: int
    height: int
    fit: Fit
    outpainting: str

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Framing:
        """The inverse of ``dataclasses.asdict``, after a way through JSON."""
        return cls(**{**stored, "fit": Fit(stored["fit"])})


@dataclass(frozen=True, slots=True)
class BrandSet:
    """Every variation in every target.

    ``groups`` are indices of targets that share an edit, each group's canvas first; the steps of
    the job are the groups of the first variation, then those of the second, and so on.
    """

    brand: Brand
    variations: tuple[Variation, ...]
    targets: tuple[TargetFormat, ...]
    groups: tuple[tuple[int, ...], ...]
    fit: Fit

    def of_step(self, index: int) -> tuple[Variation, tuple[TargetFormat, ...]]:
        """The variation that a step of the job makes, and the targets that it is made for."""
        variation, group = divmod(index, len(self.groups))
        targets = tuple(self.targets[target] for target in self.groups[group])
        return self.variations[variation], targets

    @property
    def specification(self) -> dict[str, Any]:
        """What was asked for, as it may be submitted again, without the job's own fields."""
        brand: dict[str, Any] = {
            "name": self.brand.name,
            "colors": list(self.brand.colors) or None,
            "style": self.brand.style,
            "font": self.brand.font,
        }
        if (logo := self.brand.logo) is not None:
            brand |= {
                "logo": logo.image,
                "logo_opacity": logo.opacity,
                "logo_position": str(logo.position),
                "logo_width": logo.width,
            }
        return {
            "brand": _given(brand),
            "variations": [
                _given({"name": one.name, "prompt": one.prompt, "caption": one.caption})
                | one.parameters
                for one in self.variations
            ],
            "targets": [asdict(target) for target in self.targets],
            "fit": str(self.fit),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BrandSet:
        """The inverse of ``dataclasses.asdict``, after a way through JSON."""
        brand = stored["brand"]
        logo = brand["logo"]
        if logo is not None:
            logo = Logo(**{**logo, "position": Position(logo["position"])})
        return cls(
            Brand(**{**brand, "colors": tuple(brand["colors"]), "logo": logo}),
            tuple(Variation(**one) for one in stored["variations"]),
            tuple(TargetFormat(**one) for one in stored["targets"]),
            tuple(tuple(group) for group in stored["groups"]),
            Fit(stored["fit"]),
        )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
