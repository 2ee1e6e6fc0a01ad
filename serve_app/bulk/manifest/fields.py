"""What one row of a manifest asks for."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.bulk.manifest.parameters import CANONICAL, ParameterReader
from serve_app.bulk.manifest.places import InputRoot
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, MissingField, TooManyImages


@dataclass(frozen=True, slots=True)
class AskedRow:
    """Places below the input root, and the record of the parameters as canonical JSON."""

    images: tuple[str, ...]
    mask: str | None
    asked: str

    def content(self) -> str:
        """All of it as canonical JSON."""
        places = CANONICAL.encode({"images": self.images, "mask": self.mask})
        return f'{{"asked":{self.asked},{places[1:]}'


class FieldReader:
    """Reads rows that have (some of) the ``columns``."""

    def __init__(
        self,
        columns: Container[str],
        root: InputRoot,
        limits: LimitsConfig,
        max_images: int,
        *,
        typed: bool,
    ) -> None:
        self._parameters = ParameterReader(columns, limits, typed=typed)
        self._root = root
        self._max_images = max_images
        self._typed = typed

    def read(self, row: Mapping[str, Any]) -> AskedRow:
        """Read all known fields but the id.

        Raises ``InvalidRequest`` about the first that can't be used.
        """
        images = self._images(row.get("image"))
        mask = row.get("mask")
        if mask is not None:
            mask = self._place(mask, "mask")
        parameters = self._parameters.read(row)
        if mask is not None and parameters.has_mask_box:
            raise InvalidRequest("`mask` must not be given together with `mask_box`.", "mask")
        return AskedRow(images, mask, parameters.asked)

    def _images(self, value: Any) -> tuple[str, ...]:
        if type(value) is str:
            if self._typed or not (value.startswith("[") and value.endswith("]")):
                return (self._root.place(value),)
            value = _json_list(value)
        if value is None or value == []:
            raise MissingField("`image` is required.", "image")
        if not isinstance(value, list):
            raise InvalidRequest("`image` must be a place as text, or a list of places.", "image")
        if len(value) > self._max_images:
            most = "one image" if self._max_images == 1 else f"{self._max_images} images"
            raise TooManyImages(f"`image` must name at most {most}.", "image")
        return tuple(self._place(one, "image") for one in value)

    def _place(self, value: Any, field: str) -> str:
        if not isinstance(value, str):
            raise InvalidRequest(f"`{field}` must be a place as text.", field)
        return self._root.place(value, field)


def _json_list(text: str) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise InvalidRequest("`image` must be a place, or a JSON array of places.", "image")
    return value
