"""From an edited picture to a format of a brand set: cropped, with caption and logo, measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.config import BrandConfig
from serve_app.images.caption import Place, draw_caption
from serve_app.images.colour_names import parse_colour
from serve_app.images.encoding import encode
from serve_app.images.fonts import Font, find_font
from serve_app.images.framing import Fit, fitted
from serve_app.images.geometry import resize, within
from serve_app.images.logo import RGBA, place_logo, taken_off_white, with_transparency
from serve_app.images.pixels import RGB, content_id
from serve_app.quality.brand_colours import conformity
from serve_app.workflows.brand_sets.plan import Brand, TargetFormat, Variation


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """One picture of a brand set: its file's id and PNG, its name, what was measured."""

    id: str
    png: bytes
    name: str
    variation: str
    target: TargetFormat
    colours: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in the step's record and in the manifest."""
        return {
            "name": self.name,
            "variation": self.variation,
            "target": self.target.name,
            "platform": self.target.platform,
            "width": self.target.width,
            "height": self.target.height,
            "file": self.id,
            "brand_colors": self.colours,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Artwork:
    """What is put on every picture of a brand: made once for many."""

    brand: Brand
    colours: tuple[tuple[int, int, int], ...]
    logo: RGBA | None
    font: Font
    delta_e: float

    @classmethod
    def of(
        cls,
        brand: Brand,
        config: BrandConfig,
        logo: RGB | None,
        opacity: RGB | None,
        widest: int,
    ) -> Artwork:
        """Load the font and cut the logo out: by its ``opacity``, or by its flat border.

        ``logo`` is (height, width, 3) on white, ``opacity`` its transparency as grey, brought to
        the logo's size. No more of it is kept than a picture ``widest`` pixels wide can show.
        """
        if logo is not None and brand.logo is not None:
            logo = resize(logo, within(logo, max(64, round(2 * widest * brand.logo.width))))
        return cls(
            brand,
            tuple(parse_colour(colour) for colour in brand.colors),
            None if logo is None else _cut_out(logo, opacity),
            find_font(config.fonts, brand.font),
            config.delta_e,
        )

    def render(self, edited: RGB, target: TargetFormat, variation: Variation, fit: Fit) -> Rendered:
        """Make ``target`` from ``edited``, of about its shape: never stretched.

        The brand's colours are measured before logo and caption, which have them anyway.
        """
        # Of its group, targets differ by little: what can't be cropped away is padded, unpainted.
        last = Fit.CROP if fit is Fit.CROP else Fit.AUTO
        pixels = fitted(edited, target.width, target.height, last)
        found = conformity(pixels, self.colours, self.delta_e) if self.colours else None
        logo = self.brand.logo
        if variation.caption is not None:
            above = logo is not None and logo.position.startswith("bottom")
            place: Place = "top" if above else "bottom"
            pixels = draw_caption(pixels, variation.caption, self.font, place, self.colours)
        if self.logo is not None and logo is not None:
            pixels = place_logo(pixels, self.logo, logo.position, logo.width)
        return Rendered(
            content_id(pixels),
            encode(pixels),
            f"{target.platform}/{target.size}/{variation.name}.png",
            variation.name,
            target,
            None if found is None else found.to_json(),
        )


def _cut_out(logo: RGB, opacity: RGB | None) -> RGBA:
    if opacity is None or opacity.min() == 255:
        return with_transparency(logo)
    return taken_off_white(logo, resize(opacity, (logo.shape[1], logo.shape[0]))[..., 0])
