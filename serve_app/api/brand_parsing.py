"""From a specification's brand, variations and targets to a brand set and its edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve_app.api.brand_fields import (
    MAX_COLOURS,
    NOT_ITS_OWN,
    BrandFields,
    ColourField,
    TargetFields,
    VariationFields,
)
from serve_app.api.job_references import References
from serve_app.api.model_fields import below, parse_model, refuse_unknown
from serve_app.config import BrandConfig, LimitsConfig
from serve_app.errors import InvalidRequest, MissingField
from serve_app.images.framing import Fit
from serve_app.workflows.brand_sets.aspects import grouped
from serve_app.workflows.brand_sets.plan import (
    Brand,
    BrandSet,
    Framing,
    Logo,
    TargetFormat,
    Variation,
)
from serve_app.workflows.brand_sets.prompts import branded_prompt
from serve_app.workflows.jobs.plan import StepPlan

BRAND, VARIATIONS, TARGETS = "brand", "variations", "targets"
_LOGO, _OPACITY, _COLORS = "logo", "logo_opacity", "colors"


class BrandReader:
    """Reads brand sets, collecting their images in ``references``; at most ``max_steps`` edits."""

    def __init__(
        self, limits: LimitsConfig, config: BrandConfig, max_steps: int, references: References
    ) -> None:
        self._limits = limits
        self._config = config
        self._max_steps = max_steps
        self._references = references

    def brand_set(self, values: Mapping[str, Any], fit: Fit) -> BrandSet:
        """What ``brand``, ``variations`` and ``targets`` come to; all of them may be short.

        Raises ``InvalidRequest`` about the first field that can't be used.
        """
        brand = self._brand(values.get(BRAND, {}))
        variations = self._variations(values.get(VARIATIONS))
        targets = self._targets(values.get(TARGETS, list(self._config.targets)))
        # What is to be kept whole is painted in the very shape of each target.
        groups = grouped(targets, 1.0 if fit is Fit.PAD else self._config.aspect_group)
        if len(variations) * len(groups) > self._max_steps:
            raise InvalidRequest(
                f"{len(variations)} variations in {len(groups)} shapes are more than the "
                f"{self._max_steps} edits that a job has at most.",
                VARIATIONS,
            )
        if len(variations) * len(targets) > self._config.max_pictures:
            raise InvalidRequest(
                f"{len(variations)} variations in {len(targets)} formats are more than the "
                f"{self._config.max_pictures} pictures that a job has at most.",
                VARIATIONS,
            )
        return BrandSet(brand, variations, targets, groups, fit)

    def steps(self, brand_set: BrandSet) -> tuple[StepPlan, ...]:
        """The edits of a brand set: each variation in the shape of each group of targets."""
        steps = []
        for index, variation in enumerate(brand_set.variations):
            prompt = branded_prompt(self._config.prompt, variation.prompt, brand_set.brand)
            if len(prompt) > self._limits.prompt_characters:
                raise InvalidRequest(
                    "The prompt, together with what is said of the brand, has more than "
                    f"{self._limits.prompt_characters} characters.",
                    f"{VARIATIONS}.{index}.prompt",
                )
            for group in brand_set.groups:
                canvas = brand_set.targets[group[0]]
                names = ", ".join(brand_set.targets[target].name for target in group)
                steps.append(
                    StepPlan(
                        {**variation.parameters, "prompt": prompt},
                        description=f"{variation.name} for {names}",
                        name=f"{variation.name}.{canvas.size}",
                        framing=Framing(
                            canvas.width, canvas.height, brand_set.fit, self._config.outpainting
                        ),
                    )
                )
        return tuple(steps)

    def _brand(self, values: Any) -> Brand:
        values = _object(values, BRAND)
        images = {_LOGO, _OPACITY, _COLORS}
        own = {name: value for name, value in values.items() if name not in images}
        with below(f"{BRAND}."):
            fields = parse_model(BrandFields, own, self._limits, typed=True)
        return Brand(
            fields.name,
            self._colours(values.get(_COLORS)),
            fields.style,
            fields.font,
            self._logo(values, fields),
        )

    def _logo(self, values: Mapping[str, Any], fields: BrandFields) -> Logo | None:
        opacity = values.get(_OPACITY)
        if (named := values.get(_LOGO)) is None:
            if opacity is not None:
                raise MissingField("An opacity needs its logo.", f"{BRAND}.{_LOGO}")
            return None
        if opacity is None:
            logo, own = self._references.logo(named, f"{BRAND}.{_LOGO}")
        else:
            logo = self._references.image(named, f"{BRAND}.{_LOGO}")
            own = self._references.image(opacity, f"{BRAND}.{_OPACITY}")
        return Logo(logo, own, fields.logo_position, fields.logo_width)

    def _colours(self, values: Any) -> tuple[str, ...]:
        path = f"{BRAND}.{_COLORS}"
        if values is None:
            return ()
        if not isinstance(values, list) or len(values) > MAX_COLOURS:
            raise InvalidRequest(f"`{path}` must be a list of up to {MAX_COLOURS} colours.", path)
        colours = []
        for index, value in enumerate(values):
            with below(f"{path}.{index}", whole=True):
                field = parse_model(ColourField, {"color": value}, self._limits, typed=True)
            colours.append(field.color)
        return tuple(dict.fromkeys(colours))

    def _variations(self, values: Any) -> tuple[Variation, ...]:
        if not isinstance(values, list) or not values:
            raise InvalidRequest(
                f"`{VARIATIONS}` must be a list of prompts or objects.", VARIATIONS
            )
        if len(values) > self._max_steps:
            raise InvalidRequest(f"A job has at most {self._max_steps} variations.", VARIATIONS)
        variations: dict[str, Variation] = {}
        for index, value in enumerate(values):
            here = f"{VARIATIONS}.{index}"
            variation = self._variation(value, index, here)
            # Names become those of files, which not every system tells apart by their case.
            if variation.name.casefold() in variations:
                raise InvalidRequest("`name` must be unlike that of another one.", f"{here}.name")
            variations[variation.name.casefold()] = variation
        return tuple(variations.values())

    def _variation(self, value: Any, index: int, here: str) -> Variation:
        given = {"prompt": value} if isinstance(value, str) else _object(value, here)
        with below(f"{here}."):
            refuse_unknown(given, VariationFields.model_fields.keys() - NOT_ITS_OWN)
            fields = parse_model(VariationFields, given, self._limits, typed=True)
        parameters = fields.recorded()
        del parameters["prompt"]
        return Variation(
            fields.name or f"variation-{index + 1}", fields.prompt, parameters, fields.caption
        )

    def _targets(self, values: Any) -> tuple[TargetFormat, ...]:
        most = self._config.max_targets
        if not isinstance(values, list) or not 1 <= len(values) <= most:
            raise InvalidRequest(f"`{TARGETS}` must be a list of 1 to {most} formats.", TARGETS)
        targets: list[TargetFormat] = []
        for index, value in enumerate(values):
            here = f"{TARGETS}.{index}"
            target = self._target(value, here)
            for other in targets:
                if target.name == other.name:
                    raise InvalidRequest("`name` must be unlike that of another one.", here)
                if (target.platform, target.size) == (other.platform, other.size):
                    raise InvalidRequest(
                        f"This format is the same as `{other.name}`: both are {target.size} for "
                        f"{target.platform}.",
                        here,
                    )
            targets.append(target)
        return tuple(targets)

    def _target(self, value: Any, here: str) -> TargetFormat:
        if isinstance(value, str):
            known = self._config.targets.get(value)
            if known is None:
                raise InvalidRequest(
                    f"There is no such format; there are {', '.join(self._config.targets)}, or an "
                    "object with `name`, `width` and `height`.",
                    here,
                )
            return TargetFormat(value, known.platform, known.width, known.height)
        with below(f"{here}."):
            fields = parse_model(TargetFields, _object(value, here), self._limits, typed=True)
        self._check_size(fields, here)
        return TargetFormat(fields.name, fields.platform, fields.width, fields.height)

    def _check_size(self, fields: TargetFields, here: str) -> None:
        if fields.width * fields.height > self._limits.image_pixels:
            raise InvalidRequest(
                f"A format has at most {self._limits.image_pixels:,} pixels.", here
            )
        shorter, longer = sorted((fields.width, fields.height))
        if longer > self._limits.max_aspect * shorter:
            raise InvalidRequest(
                f"One side of a format may be at most {self._limits.max_aspect:g} times the other.",
                here,
            )


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{path}` must be an object.", path)
    return value
