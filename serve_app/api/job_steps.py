"""The edits in a job's specification: steps of a chain, items, a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from serve_app.api.job_fields import (
    DescribedFields,
    ItemFields,
    MatrixPrompts,
    StepFields,
    VariantFields,
)
from serve_app.api.job_references import References
from serve_app.api.masks import MASK, MASK_BOX
from serve_app.api.model_fields import below, parse_model, refuse_unknown
from serve_app.api.names import NAME, NAME_IS
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, MissingField
from serve_app.workflows.jobs.analyses import ORIGINAL
from serve_app.workflows.jobs.plan import StepPlan

Edit = TypeVar("Edit", bound=DescribedFields)

Values = Mapping[str, Any]

IMAGE = "image"
MATRIX = "matrix"
LEAST_VARIANTS = 2

CONTACT_SHEET = "contact_sheet"
"""What lies beside the variants in an archive."""


_OF_ITEMS = frozenset(ItemFields.model_fields) | {IMAGE, MASK}


class StepReader:
    """Reads steps, collecting their images in ``references``; at most ``max_steps`` of a job."""

    def __init__(self, limits: LimitsConfig, max_steps: int, references: References) -> None:
        self._limits = limits
        self._max_steps = max_steps
        self._references = references

    def steps(
        self, values: Any, path: str, earlier: Sequence[StepPlan] = ()
    ) -> tuple[StepPlan, ...]:
        """The steps of a chain; they may refer to ``earlier`` ones by name."""
        steps = list(earlier)
        for value, here in self._each(values, path, len(earlier)):
            edit, mask = self._edit(StepFields, value, here)
            source = None
            if edit.input is not None:
                names = [step.name for step in steps]
                if edit.input not in names:
                    raise InvalidRequest(
                        "`input` must be the `name` of an earlier step: a step can't build on "
                        "itself or on a later one.",
                        f"{here}input",
                    )
                source = names.index(edit.input)
            steps.append(_step(edit, (), mask, here, steps, source))
        return tuple(steps[len(earlier) :])

    def items(
        self,
        values: Any,
        path: str,
        shared: Values | None = None,
        earlier: Sequence[StepPlan] = (),
    ) -> tuple[StepPlan, ...]:
        """The items of an edit job; what is ``shared`` is said of all that don't say it."""
        steps = list(earlier)
        refuse_unknown(shared or {}, _OF_ITEMS)
        for value, here in self._each(values, path, len(earlier)):
            merged = {**(shared or {}), **value}
            images = self.images(merged, here)
            others = {name: one for name, one in merged.items() if name != IMAGE}
            edit, mask = self._edit(ItemFields, others, here)
            steps.append(_step(edit, images, mask, here, steps))
        return tuple(steps[len(earlier) :])

    def variants(self, values: Any, path: str) -> tuple[StepPlan, ...]:
        """The variants of one picture, by their names."""
        if not isinstance(values, dict) or len(values) < LEAST_VARIANTS:
            raise InvalidRequest(
                f"`{path}` must be an object of at least two variants by their names: one alone "
                "can't be compared.",
                path,
            )
        if len(values) > self._max_steps:
            raise InvalidRequest(f"A job has at most {self._max_steps} variants.", path)
        steps: list[StepPlan] = []
        taken = {ORIGINAL, CONTACT_SHEET}
        for name, value in values.items():
            here = f"{path}.{name[:64]}"
            # Names become those of files, which not every system tells apart by their case.
            if NAME.fullmatch(name) is None or name.casefold() in taken:
                raise InvalidRequest(
                    f"The name of a variant must be {NAME_IS}, unlike that of another one, and "
                    f"neither `{ORIGINAL}` nor `{CONTACT_SHEET}`.",
                    here,
                )
            taken.add(name.casefold())
            if not isinstance(value, dict):
                raise InvalidRequest(f"`{here}` must be an object.", here)
            edit, mask = self._edit(VariantFields, value, f"{here}.")
            steps.append(
                StepPlan(
                    edit.recorded(),
                    mask=mask,
                    description=edit.description,
                    name=name,
                    hypothesis=edit.hypothesis,
                )
            )
        return tuple(steps)

    def _each(self, values: Any, path: str, before: int) -> Iterator[tuple[Values, str]]:
        """Each object of the list ``values``, and what comes before its fields' names."""
        if not isinstance(values, list) or not values:
            raise InvalidRequest(f"`{path}` must be a list of at least one object.", path)
        if len(values) + before > self._max_steps:
            raise InvalidRequest(
                f"A job has at most {self._max_steps} steps or items.", path or MATRIX
            )
        for index, value in enumerate(values):
            here = f"{path}.{index}." if path else ""
            if not isinstance(value, dict):
                raise InvalidRequest(f"`{here[:-1]}` must be an object.", here[:-1])
            yield value, here

    def matrix(self, matrix: Any) -> list[Values]:
        """The items of a matrix: each prompt for each image."""
        if not isinstance(matrix, dict):
            raise InvalidRequest("`matrix` must be an object.", MATRIX)
        with below(f"{MATRIX}."):
            refuse_unknown(matrix, {"images", "prompts"})
        images = matrix.get("images")
        if not isinstance(images, list) or not images:
            raise InvalidRequest("`matrix.images` must be a list of images.", f"{MATRIX}.images")
        with below(f"{MATRIX}."):
            given = {"prompts": matrix.get("prompts")}
            prompts = parse_model(MatrixPrompts, given, self._limits, typed=True).prompts
        if len(images) * len(prompts) > self._max_steps:
            raise InvalidRequest(f"A job has at most {self._max_steps} items.", MATRIX)
        return [{IMAGE: image, "prompt": prompt} for image in images for prompt in prompts]

    def images(self, values: Values, here: str = "") -> tuple[str, ...]:
        """What an edit, or a chain, begins with."""
        if values.get(IMAGE) is None:
            raise MissingField("An image is required.", f"{here}{IMAGE}")
        return self._references.images(values[IMAGE], f"{here}{IMAGE}")

    def _edit(self, model: type[Edit], values: Values, here: str) -> tuple[Edit, str | None]:
        others = {name: value for name, value in values.items() if name != MASK}
        with below(here):
            edit = parse_model(model, others, self._limits, typed=True)
        if values.get(MASK) is None:
            return edit, None
        if edit.mask_box is not None:
            raise InvalidRequest("Give the mask as `mask` or as `mask_box`.", f"{here}{MASK_BOX}")
        return edit, self._references.mask(values[MASK], f"{here}{MASK}")


def _step(
    edit: ItemFields,
    images: tuple[str, ...],
    mask: str | None,
    here: str,
    earlier: Sequence[StepPlan],
    source: int | None = None,
) -> StepPlan:
    if edit.name is not None and edit.name in [step.name for step in earlier]:
        raise InvalidRequest("`name` must be unlike that of another one.", f"{here}name")
    return StepPlan(edit.recorded(), images, mask, edit.description, edit.name, source)
