"""A workflow as it is saved: its parameters, and a job that refers to them.

It is checked as a whole when it is saved, so that a run can only fail by the values it is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.errors import InvalidRequest, MissingField, UnknownField
from serve_app.workflows.saved.defaults import default_path, in_order, refers_to
from serve_app.workflows.saved.parameter import MAX_TEXT, Parameter, ParameterType
from serve_app.workflows.saved.references import Filling, references

JOB = "job"
PARAMETERS = "parameters"
VARIANTS = "variants"
"""The field of a job whose names have an order."""


@dataclass(frozen=True, slots=True)
class WorkflowDocument:
    """What is saved under a name: ``job`` is a specification with ``${name}`` in its strings."""

    job: dict[str, Any]
    parameters: dict[str, Parameter]
    description: str | None = None

    def check(self) -> None:
        """Raise ``InvalidRequest``, with the path of the field, if this is no sound workflow.

        Every reference names a parameter, every parameter is referred to, no default refers to
        itself, and every default is a value that its parameter takes.
        """
        for name, parameter in self.parameters.items():
            parameter.check_rules(f"{PARAMETERS}.{name}")
        self._check_references()
        self.example()

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The job with the values ``given``, and defaults for the others.

        ``None`` is as good as not given. Raises ``MissingField``, ``UnknownField`` or
        ``InvalidRequest`` with the path of the parameter.
        """
        for name in given:
            if name not in self.parameters:
                raise UnknownField(
                    "The workflow has no such parameter.", f"{PARAMETERS}.{name[:64]}"
                )
        values: dict[str, Any] = {}
        filling = Filling(values)
        for name in in_order(self.parameters):
            parameter, path = self.parameters[name], f"{PARAMETERS}.{name}"
            value = given.get(name)
            if value is None:
                if parameter.required:
                    raise MissingField(f"`{name}` is required.", path)
                value = filling.filled(parameter.default, path, MAX_TEXT)
            parameter.check(value, path)
            values[name] = value
        return self._job(filling)

    def example(self) -> dict[str, Any]:
        """The job with the defaults, and values of our own for parameters without one.

        Raises ``InvalidRequest`` about a default that its parameter does not take. Of one that
        refers to others only the type is known, and that it is no longer than any text may be:
        what it will be depends on them.
        """
        values: dict[str, Any] = {}
        filling = Filling(values)
        for name in in_order(self.parameters):
            parameter, path = self.parameters[name], default_path(name)
            if parameter.required:
                values[name] = parameter.example
                continue
            values[name] = filling.filled(parameter.default, path, MAX_TEXT)
            if refers_to(name, parameter):
                parameter.check_type(values[name], path)
            else:
                parameter.check(values[name], path)
        return self._job(filling)

    def _job(self, filling: Filling) -> dict[str, Any]:
        return dict(filling.filled(self.job, JOB))

    def _check_references(self) -> None:
        """Raise ``InvalidRequest`` unless they name all parameters, and nothing else."""
        places = [*references(self.job, JOB)]
        for name, parameter in self.parameters.items():
            places += references(parameter.default, default_path(name))
        for place in places:
            if place.name not in self.parameters:
                raise InvalidRequest(f"There is no parameter `{place.name}`.", place.path)
            if not place.alone and self.parameters[place.name].type is ParameterType.IMAGE:
                # Its bytes, or its id, would be read as words.
                raise InvalidRequest(
                    f"`${{{place.name}}}` is an image: no other text can stand beside it.",
                    place.path,
                )
        used = {place.name for place in places}
        for name in self.parameters:
            if name not in used:
                raise InvalidRequest(
                    f"Nothing refers to this parameter, as `${{{name}}}` would.",
                    f"{PARAMETERS}.{name}",
                )

    @property
    def digest(self) -> str:
        """SHA-256 of what it says.

        The order of names doesn't matter, but for those of variants: it is that of their steps.
        """
        variants = self.job.get(VARIANTS)
        ordered = list(variants) if isinstance(variants, dict) else []
        said = json.dumps([self.to_json(), ordered], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As it is stored and shown."""
        parameters = {name: one.to_json() for name, one in self.parameters.items()}
        return {"description": self.description, PARAMETERS: parameters, JOB: self.job}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> WorkflowDocument:
        """The inverse of ``to_json``, after a way through JSON."""
        parameters = {name: Parameter.from_json(it) for name, it in stored[PARAMETERS].items()}
        return cls(stored[JOB], parameters, stored["description"])
