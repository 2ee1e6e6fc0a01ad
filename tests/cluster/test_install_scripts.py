"""The scripts that install, run with the system's own programs, and one of them noted down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.manifests import CLUSTER
from tests.conftest import ROOT


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All that the script looks for, and an apt-get that writes down what it is told."""
    real = {"python3": os.path.realpath(sys.executable)}
    real |= {name: f"/usr/bin/{name}" for name in ("dpkg", "dpkg-query", "dirname")}
    looked_for = ("g++", "wget", "rsync", "ssh", "make", "curl", "git")
    looked_for += ("redis-server", "nginx", "promtool")
    for name, command in (real | dict.fromkeys(looked_for, "/bin/true")).items():
        write_program(tmp_path / name, f'exec {command} "$@"')
    write_program(tmp_path / "apt-get", 'echo "$*" >>"$(dirname "$0")/noted"')
    return tmp_path


def write_program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def installed(programs: Path, kind: str) -> set[str]:
    """The packages that the script asks for."""
    command = ["/bin/bash", CLUSTER / "system-packages.sh", kind]
    subprocess.run(command, env={"PATH": str(programs)}, check=True)
    noted = programs / "noted"
    if not noted.exists():
        return set()
    update, install = noted.read_text().splitlines()
    noted.unlink()
    options = "install -y -qq --no-install-recommends "
    assert update.startswith("update")
    assert install.startswith(options)
    return set(install.removeprefix(options).split())


FOR_BOTH = {"g++": "g++"}
FOR_THE_SERVICE = {"wget": "wget", "rsync": "rsync", "ssh": "openssh-client"}
FOR_TESTS = {name: name for name in ("make", "curl", "git", "redis-server", "nginx")}
FOR_TESTS |= {"promtool": "prometheus"}


@pytest.mark.parametrize(("kind", "own"), [("run", FOR_THE_SERVICE), ("test", FOR_TESTS)])
def test_what_is_missing_is_installed(kind: str, own: dict[str, str], programs: Path) -> None:
    for program in FOR_BOTH | FOR_THE_SERVICE | FOR_TESTS:
        (programs / program).unlink()
    assert installed(programs, kind) == {*FOR_BOTH.values(), *own.values()}


@pytest.mark.parametrize("kind", ["run", "test"])
def test_where_nothing_is_missing_nothing_is_installed(kind: str, programs: Path) -> None:
    """Tests run where CI has installed the fonts, Tesseract's Korean, Python's headers."""
    assert installed(programs, kind) == set()


@pytest.mark.parametrize("arguments", [[], ["tests"]])
def test_it_says_what_it_takes(arguments: list[str]) -> None:
    done = subprocess.run(
        ["bash", CLUSTER / "system-packages.sh", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"run|test" in done.stderr


def test_packages_are_installed_at_the_versions_that_were_tested(tmp_path: Path) -> None:
    python = tmp_path / "python"
    write_program(python, 'echo "$PWD" "$@"')
    done = subprocess.run(
        [CLUSTER / "python-packages.sh", python, "--editable", ".[dev]"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    words = "-m pip install --quiet --constraint constraints.txt --editable .[dev]"
    assert done.stdout.strip() == f"{ROOT} {words}"
