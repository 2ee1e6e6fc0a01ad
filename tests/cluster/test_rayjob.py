"""The bulk job: a command that there is, over paths that there are, with nodes enough for it."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import Any

import pytest
import typer

from serve_app.cli import app
from serve_app.serve_config import service_settings
from tests.cluster.manifests import CLUSTER, Manifest, every_manifest, node_groups, read
from tests.conftest import ROOT

SPEC = every_manifest()["RayJob/qwen-edit-bulk"]["spec"]
WORDS = shlex.split(SPEC["entrypoint"])


def parsed(words: list[str]) -> dict[str, object]:
    """The parameters of a command line, as the command itself reads them."""
    command: Any = typer.main.get_command(app)
    program, *rest = words
    assert program == "qwen-edit"
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    given: dict[str, object] = command.make_context("run", rest).params
    return given


def test_its_command_is_one_of_ours() -> None:
    assert parsed(WORDS)["address"] == "auto"
    with pytest.raises(Exception, match="No such option: --confg"):
        parsed([*WORDS, "--confg", "x"])


def mounts(template: Manifest) -> dict[str, str]:
    (container,) = template["spec"]["containers"]
    return {it["mountPath"]: it["name"] for it in container["volumeMounts"]}


def test_every_path_that_it_names_is_there() -> None:
    given = parsed(WORDS)
    cluster = SPEC["rayClusterSpec"]
    head = cluster["headGroupSpec"]["template"]  # where the command runs
    config = PurePosixPath(str(given["config"]))
    (volume,) = (
        it for it in head["spec"]["volumes"] if it["name"] == mounts(head)[str(config.parent)]
    )
    (generated,) = read("bulk/kustomization.yaml")[0]["configMapGenerator"]
    assert volume["configMap"]["name"] == generated["name"]
    assert generated["options"]["disableNameSuffixHash"]  # or that would not be its name
    assert config.name in generated["files"]
    (workers,) = cluster["workerGroupSpecs"]
    for template in (cluster["headGroupSpec"]["template"], workers["template"]):
        assert mounts(template)["/results"] == "results"
        for path in (given["manifest"], given["out"]):
            assert PurePosixPath(str(path)).is_relative_to("/results")


def test_it_is_configured_as_the_service_is() -> None:
    """``cluster/serve-config.sh`` copies it."""
    ours = (CLUSTER / "bulk" / "cluster.yaml").read_text(encoding="utf-8")
    assert ours == (ROOT / "configs" / "cluster.yaml").read_text(encoding="utf-8")


def test_its_nodes_hold_every_actor() -> None:
    bulk = service_settings(ROOT / "configs" / "cluster.yaml").bulk
    (group,) = SPEC["rayClusterSpec"]["workerGroupSpecs"]
    node = node_groups(SPEC["rayClusterSpec"])["editors"]
    nodes = group["replicas"]
    assert nodes == node["min_workers"] == node["max_workers"]
    assert bulk.editors.number * bulk.editors.num_gpus == nodes * node["resources"]["GPU"]
    pools = (bulk.editors, bulk.loaders, bulk.validators)
    cpus = sum(pool.number * pool.num_cpus for pool in pools)
    assert cpus <= nodes * node["resources"]["CPU"]


def test_rows_that_failed_are_no_reason_for_another_cluster() -> None:
    """KubeRay makes one for whatever exit status but 0."""
    assert parsed(WORDS)["failed_rows_ok"] is True


def test_a_further_try_goes_on_in_the_same_folder() -> None:
    """The entrypoint has nothing in it that is another at each try."""
    assert SPEC["backoffLimit"] > 0
    assert not set("$`") & set(SPEC["entrypoint"])
