"""From the body of ``POST /v1/plan`` to a brief, and from a proposal to one that can be run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.api.brand_parsing import BRAND, TARGETS, BrandReader
from serve_app.api.context import Context
from serve_app.api.job_parsing import parse_job
from serve_app.api.job_references import References
from serve_app.api.model_fields import parse_model
from serve_app.api.plan_fields import PlanFields
from serve_app.errors import InvalidRequest, NotFound, PartFailed
from serve_app.images.framing import Fit
from serve_app.images.pixels import CONTENT_ID
from serve_app.workflows.assistant.proposal import Brief, PlanKind, Proposal

_STAND_IN: dict[str, Any] = {"variations": ["-"]}
"""A variation with which a brand and targets are a whole brand set, to be read as one."""


async def parse_plan(values: Mapping[str, Any], context: Context) -> Brief:
    """Read a brief.

    Raises:
        InvalidRequest: About the first field that can't be used, by its path.
        NotFound: If the image or the logo is not stored.
    """
    given = {name: values[name] for name in (BRAND, TARGETS) if values.get(name) is not None}
    own = {name: value for name, value in values.items() if name not in (BRAND, TARGETS)}
    fields = parse_model(PlanFields, own, context.limits, typed=True)
    _read_as_brand_set(given, context)
    kind = None if fields.kind == "auto" else fields.kind
    if TARGETS in given and kind not in (None, PlanKind.BRAND_SET):
        raise InvalidRequest(f"`targets` need the kind {PlanKind.BRAND_SET}, or auto.", TARGETS)
    brand = given.get(BRAND) or None
    await _check_stored(fields.image, "image", context)
    if brand is not None:
        await _check_stored(brand.get("logo"), f"{BRAND}.logo", context)
    return Brief(
        fields.brief,
        tuple(context.brand_config.targets),
        fields.image,
        brand,
        tuple(given.get(TARGETS, ())),
        kind,
        context.limits.prompt_characters,
        context.limits.image_pixels,
    )


def check_usable(proposal: Proposal, context: Context) -> None:
    """Read the proposal as ``POST /v1/jobs`` would.

    Raises:
        InvalidRequest: About ``brief``, if a prompt of it is too long.
        PartFailed: If the proposal can't be used, which is our mistake.
    """
    specification = proposal.specification
    try:
        parse_job(specification, _parts(specification), context)
    except InvalidRequest as error:
        if (error.param or "").endswith("prompt"):
            raise InvalidRequest(f"Shorten `brief`. {error.message}", "brief") from None
        raise PartFailed("No usable job came of this brief. Say it in other words.") from error


def _read_as_brand_set(given: Mapping[str, Any], context: Context) -> None:
    """Raise ``InvalidRequest`` about what no brand set could have."""
    references = References(_parts(given), context.max_images)
    reader = BrandReader(
        context.limits, context.brand_config, context.jobs_config.max_steps, references
    )
    reader.brand_set(_STAND_IN | dict(given), Fit.AUTO)


async def _check_stored(image: Any, param: str, context: Context) -> None:
    stored_id = isinstance(image, str) and CONTENT_ID.fullmatch(image) is not None
    if stored_id and not await context.files.has(image):
        raise NotFound("There is no file with this id.", param)


def _parts(value: Any) -> dict[str, bytes]:
    """An empty file for each ``@NAME`` that stands for an image: the files come with the job."""
    return {name[1:]: b"" for name in _images(value) if name.startswith("@")}


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        named = (value.get(name) for name in ("image", "logo", "logo_opacity"))
        yield from (one for one in named if isinstance(one, str))
        yield from _images(value.get(BRAND))
