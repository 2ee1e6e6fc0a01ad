"""The manifests in ``cluster/``: read, and held against the schemas that they claim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from referencing import Registry, Resource

from tests.conftest import ROOT

CLUSTER = ROOT / "cluster"
KUBERNETES = "1.34"
_OF_KUBERNETES = f"kubernetes-json-schema/v{KUBERNETES}.0-local-strict"
_OUR_SCHEMAS = Path(__file__).parent / "schemas"
_BASE = "https://kubernetes.io/api/"

Manifest = dict[str, Any]
Place = tuple[str | int, ...]


def read(name: str) -> list[Manifest]:
    """The documents of one file below ``cluster/``."""
    return list(yaml.safe_load_all((CLUSTER / name).read_text(encoding="utf-8")))


def every_manifest() -> dict[str, Manifest]:
    """Every document, by what it is: ``Service/postgres``."""
    service = [f"kuberay/{file.name}" for file in sorted((CLUSTER / "kuberay").glob("*.yaml"))]
    documents = [it for name in [*service, "bulk/rayjob.yaml"] for it in read(name)]
    return {called(it): it for it in documents}


def called(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def faults(manifest: Manifest) -> list[str]:
    """What its schema has against a manifest; unknown keys, too."""
    found = _validator(manifest["apiVersion"], manifest["kind"]).iter_errors(manifest)
    return [f"{'.'.join(map(str, it.absolute_path))}: {it.message}" for it in found]


@cache
def _validator(api_version: str, kind: str) -> Draft202012Validator:
    group, _, version = api_version.rpartition("/")
    match group:
        case "ray.io":
            schema: dict[str, Any] = {"$ref": f"{_BASE}kuberay.yaml#/$defs/{kind}"}
        case "kustomize.config.k8s.io":
            schema = {"$ref": f"{_BASE}kustomization.yaml#/$defs/{kind}"}
        case _:
            name = "-".join([kind.lower(), *filter(None, [group.partition(".")[0]]), version])
            schema = schema_contents(f"{_OF_KUBERNETES}/{name}.json", KUBERNETES)
    return Draft202012Validator(schema, registry=_registry())


@cache
def _registry() -> Registry[Any]:
    ours = [yaml.safe_load(file.read_text()) for file in sorted(_OUR_SCHEMAS.glob("*.yaml"))]
    kubernetes = schema_contents(f"{_OF_KUBERNETES}/_definitions.json", KUBERNETES)
    resources = ((it["$id"], Resource.from_contents(it)) for it in [kubernetes, *ours])
    return Registry().with_resources(resources).crawl()


def pod_templates(manifest: Manifest) -> Iterator[Manifest]:
    """Every pod that a manifest describes, its own or in a Ray cluster."""
    for _, value in walk(manifest):
        if isinstance(value, dict) and "containers" in value.get("spec", {}):
            yield value


def walk(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every mapping, list and scalar in a document, with where it is."""
    yield place, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*place, index))


def changed(manifest: Manifest, place: Place, value: Any) -> Manifest:
    """A copy that is another at one place; YAML's aliases are copies of their own in it."""
    copy: Manifest = json.loads(json.dumps(manifest))
    inner: Any = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


def node_groups(cluster: Manifest) -> dict[str, dict[str, Any]]:
    """The groups of nodes as Ray's own autoscaler reads them."""
    resource = {"metadata": {"name": "qwen-edit", "namespace": "qwen-edit"}, "spec": cluster}
    read: dict[str, dict[str, Any]] = _derive_autoscaling_config_from_ray_cr(resource)[
        "available_node_types"
    ]
    return read
