"""Brand sets: formats, what edits are told, captions."""

from pathlib import Path
from string import Formatter
from typing import Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from serve_app.config.section import Section

PLATFORM = r"^[a-z0-9][a-z0-9_-]{0,31}$"
"""What the folder of a platform's pictures is called."""

LONGEST_TARGET_SIDE = 10_000
"""Pixels."""


class Target(Section):
    """A format that brand sets are made for."""

    platform: str = Field(pattern=PLATFORM, description="Folder that its pictures are in.")
    width: PositiveInt = Field(le=LONGEST_TARGET_SIDE, description="Pixels.")
    height: PositiveInt = Field(le=LONGEST_TARGET_SIDE, description="Pixels.")


class BrandConfig(Section):
    """Brand sets: formats, prompts, fonts."""

    targets: dict[str, Target] = Field(
        {
            "instagram_story": Target(platform="instagram", width=1080, height=1920),
            "instagram_post": Target(platform="instagram", width=1080, height=1080),
            "twitter_card": Target(platform="twitter", width=1200, height=630),
            "blog_header": Target(platform="blog", width=1200, height=600),
            "blog_thumbnail": Target(platform="blog", width=600, height=400),
        },
        description="Formats that jobs may name; jobs may bring others, too.",
    )
    prompt: tuple[str, ...] = Field(
        (
            "{prompt}",
            "Use the brand's colours: {colors}.",
            "Style: {style}.",
            "Leave the {logo_position} of the picture calm, a logo will be put there.",
        ),
        description="What an edit is told, in this order. {prompt} is the variation's own; a "
        "sentence is left out where its {colors}, {style}, {logo_position} or {name} is not given.",
    )
    outpainting: str = Field(
        "Continue the picture into the blurred borders, so that it fills the whole canvas.",
        description="What is said, too, where the picture was put on a larger canvas.",
    )
    aspect_group: float = Field(
        1.35,
        ge=1.0,
        description="Targets whose aspects differ by no more than this factor share an edit.",
    )
    delta_e: PositiveFloat = Field(
        10.0, description="CIEDE2000 within which a colour counts as a brand colour."
    )
    fonts: Path | None = Field(
        Path("/usr/share/fonts"),
        description="Folder of fonts for captions, by file name; without it there is one.",
    )
    max_targets: PositiveInt = Field(50, description="Most targets of one job.")
    max_pictures: PositiveInt = Field(2000, description="Most variations times targets.")

    @model_validator(mode="after")
    def _prompt_is_a_template(self) -> Self:
        known = {"prompt", "colors", "style", "logo_position", "name"}
        for sentence in self.prompt:
            try:
                named = {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}
            except ValueError as error:
                raise ValueError(f"`prompt` has a sentence that is no template: {error}") from None
            if not named <= known:
                raise ValueError(f"`prompt` may name {', '.join(sorted(known))} in braces")
        if not any("{prompt}" in sentence for sentence in self.prompt):
            raise ValueError("`prompt` must have the variation's own {prompt} somewhere")
        return self
