"""The image: what the linter says of it, what it is made of, and that CI makes it the same way."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT
from ray.dashboard.http_server_agent import PUBLIC_EXACT_PATHS

from benchmarks.nodes import RAY_SETTINGS
from tests.cluster.manifests import CLUSTER
from tests.conftest import ROOT

DOCKERFILE = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"
SCRIPTS = ("system-packages.sh", "python-packages.sh")


def linted(text: str) -> list[str]:
    """The rules that a Dockerfile breaks, those of style included."""
    done = subprocess.run(
        [HADOLINT, "--no-color", "--failure-threshold", "style", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return re.findall(r"\b(?:DL|SC)[0-9]{4}\b", done.stdout)


def test_the_linter_has_nothing_against_it() -> None:
    assert "hadolint ignore" not in DOCKERFILE
    assert linted(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("FROM ${PYTHON_IMAGE}", "FROM python:latest", "DL3007"),
        ("FROM ${PYTHON_IMAGE}", "FROM python", "DL3006"),
        ("USER ${USER_ID}", "USER root", "DL3002"),
        ("COPY configs configs", "ADD configs configs", "DL3020"),
        ("WORKDIR /srv/qwen-edit", "WORKDIR srv", "DL3000"),
        ("RUN touch README.md", "RUN pip install ray", "DL3013"),
    ],
)
def test_the_linter_sees_what_is_wrong(before: str, after: str, rule: str) -> None:
    assert before in DOCKERFILE
    assert rule in linted(DOCKERFILE.replace(before, after))


@dataclass(frozen=True)
class Stage:
    """A stage with the instructions of those that it is made from."""

    base: str
    instructions: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for instruction, rest in instructions():
        match instruction:
            case "ARG" if not found:
                name, _, value = rest.partition("=")
                arguments[name] = value
            case "FROM":
                base, _, name = rest.partition(" AS ")
                base = re.sub(r"\$\{(\w+)\}", lambda it: arguments[it[1]], base)
                under = found.get(base)
                stage = Stage(under.base, [*under.instructions]) if under else Stage(base, [])
                found[name] = stage
            case _:
                stage.instructions.append((instruction, rest))
    return found


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.M)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line:
            instruction, _, rest = line.partition(" ")
            yield instruction, rest.strip()


TARGETS = {name: stage for name, stage in stages().items() if name != "system"}


def test_there_are_a_target_with_a_gpu_and_one_without() -> None:
    assert set(TARGETS) == {"cpu", "gpu"}
    cpu, gpu = (" ".join(TARGETS[name].all("RUN")) for name in ("cpu", "gpu"))
    index = "--index-url https://download.pytorch.org/whl/cpu"
    # Alone from there: that index has few of torch's dependencies at their versions.
    assert f"--no-deps {index} torch" in cpu
    assert "index" not in gpu


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_an_image_is_pinned_watched_and_of_no_root(name: str) -> None:
    stage = TARGETS[name]
    assert re.fullmatch(r"python:3\.11\.[0-9]+-slim-[a-z]+", stage.base)
    assert stage.all("USER") == ["${USER_ID}"]
    assert stage.instructions[-1][0] == "USER"
    assert "USER_ID=1000" in stage.all("ARG")
    (watch,) = stage.all("HEALTHCHECK")
    assert f"http://localhost:{DEFAULT_DASHBOARD_AGENT_LISTEN_PORT}/api/healthz" in watch
    # Whoever asks has no token.
    assert "/api/healthz" in PUBLIC_EXACT_PATHS
    assert "wget" in watch
    assert {"PIP_NO_CACHE_DIR=1", "PIP_ROOT_USER_ACTION=ignore"} <= set(stage.all("ARG"))
    # For `ray up`, which looks there for where it may put files.
    assert any(it.startswith("HOME=/home/ray") for it in stage.all("ENV"))


def test_the_one_for_gpus_asks_for_them() -> None:
    """NVIDIA's container runtime, which `ray up` takes where it is, does nothing for others."""
    asking = "NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility"
    assert asking in TARGETS["gpu"].all("ENV")
    assert "NVIDIA" not in " ".join(TARGETS["cpu"].all("ENV"))


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_what_is_copied_is_there_and_is_let_through(name: str) -> None:
    ignore = (CLUSTER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert [line for line in ignore if line[:1] not in ("#", "!")] == ["*", "**/__pycache__"]
    copied = [path for it in TARGETS[name].all("COPY") for path in it.split()[:-1]]
    assert {"serve_app", "configs", "constraints.txt"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists()
        assert any(Path(path).match(it) or path.startswith(f"{it}/") for it in let_through), path


def test_the_image_installs_with_the_scripts_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, stage in TARGETS.items():
        installing = " ".join(stage.all("RUN"))
        assert "cluster/system-packages.sh run" in installing, name
        assert "cluster/python-packages.sh python3 --editable" in installing, name
        assert not re.search(r"apt-get (update|install)|pip install", installing), name
    assert "cluster/system-packages.sh test\n" in ci
    assert "apt-get" not in ci
    assert "cluster/python-packages.sh $(BIN)/python --editable" in makefile
    for script in SCRIPTS:
        assert os.access(CLUSTER / script, os.X_OK)


def test_a_node_is_missed_as_soon_as_in_the_benchmarks() -> None:
    given = dict(re.findall(r"RAY_(health_check_\w+)=(\d+)", DOCKERFILE))
    assert given
    assert {name: int(value) for name, value in given.items()}.items() <= RAY_SETTINGS.items()
