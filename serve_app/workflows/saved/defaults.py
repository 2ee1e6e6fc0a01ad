"""In which order parameters get their values: a default may be made of other parameters."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from serve_app.errors import InvalidRequest
from serve_app.workflows.saved.parameter import Parameter
from serve_app.workflows.saved.references import references


def default_path(name: str) -> str:
    """The path of a parameter's default within a workflow."""
    return f"parameters.{name}.default"


def refers_to(name: str, parameter: Parameter) -> set[str]:
    """The parameters that the default of the parameter ``name`` is made of."""
    return {one.name for one in references(parameter.default, default_path(name))}


def in_order(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """All names, each after those that its default refers to.

    Raises ``InvalidRequest`` about the first default that refers to itself, also through others.
    """
    graph = {name: refers_to(name, parameter) for name, parameter in parameters.items()}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        # From what is referred to, to what refers to it; the first and the last are the same.
        backwards: list[str] = error.args[1]
        cycle = backwards[:0:-1]
    first = min(cycle, key=list(parameters).index)
    at = cycle.index(first)
    round_trip = " -> ".join([*cycle[at:], *cycle[:at], first])
    raise InvalidRequest(f"`default` refers to itself through {round_trip}.", default_path(first))
