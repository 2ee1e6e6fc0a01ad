"""The fields of a brand set: the brand, its variations, the formats."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from serve_app.api.edit_parameters import single_line
from serve_app.api.job_fields import IndependentFields, ItemFields, Name
from serve_app.api.names import NAME_IS
from serve_app.config import LONGEST_TARGET_SIDE, PLATFORM
from serve_app.images.colour_names import hex_colour, parse_colour
from serve_app.images.framing import Fit
from serve_app.images.logo import Position

MAX_COLOURS = 12
MAX_STYLE = 300
MAX_CAPTION = 120
NOT_ITS_OWN = frozenset({"size", "mask_box", "description"})
"""Fields of edits that a variation does not have: the formats decide them."""


_SIDE = f"a whole number from 16 to {LONGEST_TARGET_SIDE}"


def _colour(text: str) -> str:
    return hex_colour(parse_colour(text))


def _brand_name(text: str) -> str:
    return single_line(text, 64)


def _style(text: str) -> str:
    return single_line(text, MAX_STYLE)


def _caption(text: str) -> str:
    return single_line(text, MAX_CAPTION)


class BrandSetFields(IndependentFields):
    """A job of one picture in several variations, each in every format."""

    fit: Annotated[Fit, Field(strict=False)] = Field(
        Fit.AUTO,
        description="one of auto (crop where what stands out stays whole, else pad), crop, pad "
        "(the whole picture on a larger canvas, which the model fills)",
    )


class BrandFields(BaseModel):
    """What all pictures of a brand have in common, its logo's file aside."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, AfterValidator(_brand_name)] | None = Field(
        None, description="1 to 64 characters of text"
    )
    style: Annotated[str, AfterValidator(_style)] | None = Field(
        None, description=f"1 to {MAX_STYLE} characters of text: how pictures should look"
    )
    font: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="the name of a font that this service has, for captions"
    )
    logo_position: Annotated[Position, Field(strict=False)] = Field(
        Position.BOTTOM_RIGHT, description=f"one of {', '.join(Position)}"
    )
    logo_width: float = Field(
        0.2, ge=0.02, le=1.0, description="a number from 0.02 to 1: its share of the width"
    )


class ColourField(BaseModel):
    """One colour of a brand."""

    model_config = ConfigDict(frozen=True, strict=True)

    color: Annotated[str, AfterValidator(_colour)] = Field(
        description="a colour such as #0A84FF or navy"
    )


class VariationFields(ItemFields):
    """One wish for the picture; its size and what is masked are the formats' matter."""

    caption: Annotated[str, AfterValidator(_caption)] | None = Field(
        None, description=f"1 to {MAX_CAPTION} characters of text to write on it"
    )


class TargetFields(BaseModel):
    """A format of the user's own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    name: Name = Field(description=f"{NAME_IS}, unlike the name of another one")
    platform: Annotated[str, Field(pattern=PLATFORM)] = Field(
        "custom",
        description="1 to 32 small letters, digits, dashes and underscores: the folder of its "
        "pictures",
    )
    width: int = Field(ge=16, le=LONGEST_TARGET_SIDE, description=_SIDE)
    height: int = Field(ge=16, le=LONGEST_TARGET_SIDE, description=_SIDE)
