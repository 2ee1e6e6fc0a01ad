"""The README's examples, run letter by letter against the real service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.readme import gpu_table, table
from tests.conftest import ROOT, Service

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [code for language, code in BLOCKS if language == "bash"]
PYTHON = [code for language, code in BLOCKS if language == "python"]

pytestmark = pytest.mark.cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder from which the README's paths work."""
    (tmp_path / "serve_app").symlink_to(ROOT / "serve_app")
    return tmp_path


def run(command: list[str], code: str, folder: Path, service: Service) -> str:
    assert "http://localhost:8000" in code
    code = code.replace("http://localhost:8000", service.url)
    done = subprocess.run(
        [*command, code], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("code", SHELL)
def test_the_shell_examples_edit_a_picture(code: str, folder: Path, service: Service) -> None:
    printed = run(["bash", "-euc"], code, folder, service)
    if "grep -i x-edit" in code:
        for header in ("id", "seed", "verdict", "attempts", "cache"):
            assert f"x-edit-{header}: " in printed
    assert printed.strip()
    if "variants.zip" in code:
        assert json.loads(printed)["verdict"] == "winner"
        names = set(zipfile.ZipFile(folder / "variants.zip").namelist())
        assert {"tidy.png", "yellow.png", "contact_sheet.png", "manifest.json"} == names
        assert min(Image.open(folder / "variants.png").size) > 200
    else:
        assert Image.open(folder / "edited.png").size == (64, 64)


@pytest.mark.parametrize("code", PYTHON)
def test_the_python_examples_run(code: str, folder: Path, service: Service) -> None:
    printed = run([sys.executable, "-c"], code, folder, service)
    assert printed.split()[0] in {"pass", "pass_unverified", "image_edit.partial_image"}


def test_there_are_examples_for_curl_and_the_openai_client() -> None:
    assert any("curl" in code for code in SHELL)
    assert any("client.images.edit" in code for code in PYTHON)


def test_every_route_is_in_the_table(service: Service) -> None:
    import httpx

    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    named = re.findall(r"`(?:GET|POST|PUT|DELETE) (/[^`]*)`", README)
    assert {re.sub(r"{.*?}", "{}", path) for path in paths} - {"/v1/models/{}"} <= {
        re.sub(r"{.*?}", "{}", path) for path in named
    }


def test_the_figures_are_those_that_were_measured() -> None:
    assert table() in README
    assert gpu_table() in README


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
