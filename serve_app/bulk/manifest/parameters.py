"""Parameters of rows, by the hundred thousand: few combinations, each with many prompts."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from serve_app.api.edit_parameters import MAX_SEED, EditParameters
from serve_app.api.model_fields import parse_model
from serve_app.api.text import clean_prompt
from serve_app.bulk.manifest.reading import PARAMETERS
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest

CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
"""Writes equal values as equal text."""

_MOST_KNOWN = 4096
_SURE_DIGITS = 18
"""So many are below ``MAX_SEED``, whichever they are."""


class AskedParameters(NamedTuple):
    """The record of an edit's parameters as canonical JSON, and whether it has a mask's box."""

    asked: str
    has_mask_box: bool


class _Others(NamedTuple):
    """Valid parameters but prompt and seed: canonical JSON of them by where it goes."""

    before_prompt: str
    before_seed: str
    last: str
    has_mask_box: bool


_NONE = _Others("", "", "", False)


class ParameterReader:
    """Reads the parameters of rows that have (some of) the ``columns``.

    Every answer is that of ``parse_model`` with ``EditParameters``. What varies from row to row
    is the prompt and the seed: valid ones are seen without it, as are others that were valid
    before.
    """

    def __init__(self, columns: Container[str], limits: LimitsConfig, *, typed: bool) -> None:
        self._names = [n for n in PARAMETERS if n in columns and n not in ("prompt", "seed")]
        self._limits = limits
        self._typed = typed
        self._known: dict[str, _Others] = {}

    def read(self, row: Mapping[str, Any]) -> AskedParameters:
        """Read one row; raises ``InvalidRequest`` about the first field that can't be used."""
        others = {name: value for name in self._names if (value := row.get(name)) is not None}
        prompt, seed = row.get("prompt"), row.get("seed")
        known = self._checked(others) if others else _NONE
        prompt_json, seed_json = self._prompt(prompt), self._seed(seed)
        if known is None or prompt_json is None or seed_json is None:
            fields = self._parsed(others | {"prompt": prompt, "seed": seed})
            asked = CANONICAL.encode(fields.recorded())
            return AskedParameters(asked, fields.mask_box is not None)
        asked = "".join(
            ("{", known.before_prompt, prompt_json, known.before_seed, seed_json, known.last, "}")
        )
        return AskedParameters(asked, known.has_mask_box)

    def _parsed(self, values: Mapping[str, Any]) -> EditParameters:
        return parse_model(EditParameters, values, self._limits, typed=self._typed)

    def _prompt(self, prompt: Any) -> str | None:
        """The prompt's JSON; ``None`` if it is not sure to be valid."""
        if type(prompt) is not str:
            return None
        try:
            return f'"prompt":{json.dumps(clean_prompt(prompt, self._limits.prompt_characters))}'
        except ValueError:
            return None

    def _seed(self, seed: Any) -> str | None:
        """The seed's JSON; ``None`` if it is not sure to be valid."""
        if seed is None:
            return ""
        if seed == "random":
            return ',"seed":"random"'
        if self._typed:
            return f',"seed":{seed}' if type(seed) is int and 0 <= seed <= MAX_SEED else None
        plain = len(seed) <= _SURE_DIGITS and seed.isascii() and seed.isdigit()
        return f',"seed":{int(seed)}' if plain else None

    def _checked(self, others: Mapping[str, Any]) -> _Others | None:
        """What is left of ``others``; ``None`` if they are not valid."""
        key = repr(others)  # unlike the values it tells 1 from 1.0 and from true
        if key not in self._known:
            try:
                fields = self._parsed({**others, "prompt": "any"})
            except InvalidRequest:
                return None
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = _parted(fields)
        return self._known[key]


def _parted(fields: EditParameters) -> _Others:
    record = fields.recorded()
    del record["prompt"]
    before = {name: value for name, value in record.items() if name < "prompt"}
    middle = {name: value for name, value in record.items() if "prompt" < name < "seed"}
    last = {name: value for name, value in record.items() if name > "seed"}
    head = _members(before)
    return _Others(
        f"{head}," if head else "",
        _following(middle),
        _following(last),
        fields.mask_box is not None,
    )


def _members(record: Mapping[str, Any]) -> str:
    return CANONICAL.encode(record)[1:-1]


def _following(record: Mapping[str, Any]) -> str:
    return f",{_members(record)}" if record else ""
