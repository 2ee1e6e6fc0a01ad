"""The wheel: what a user installs has the weights, the samples and the commands in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

MOST_BYTES = 30_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_weights_and_the_samples_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    shipped = [*(ROOT / "serve_app").rglob("weights/**/*"), *(ROOT / "serve_app/samples").iterdir()]
    expected = {str(path.relative_to(ROOT)) for path in shipped if path.is_file()}
    assert any(
        name.endswith("transformer/diffusion_pytorch_model.safetensors") for name in expected
    )
    assert expected <= packed
    assert wheel.stat().st_size <= MOST_BYTES


EDIT = """
import asyncio, pathlib, sys
import serve_app
assert pathlib.Path(serve_app.__file__).is_relative_to(sys.argv[1]), serve_app.__file__
from serve_app.config import EngineConfig
from serve_app.engine.engine import Engine
from serve_app.engine.miniature.evaluate import Example, Way, edit_all, job, model_config, scored
from serve_app.engine.miniature.samples import SAMPLES, SIDE
pairs = [SAMPLES[name] for name in ("balloon", "shop", "meadow")]
drawn = [Example(pair, *pair.pictures(SIDE)) for pair in pairs]
engine = Engine.load(model_config("miniature", 64, Way(8)), EngineConfig())
scores = scored(drawn, asyncio.run(edit_all(engine, [job(it, Way(8), 0) for it in drawn])))
engine.close()
print("edited", sum(one.succeeded for one in scores))
"""


@pytest.mark.slow
def test_the_installed_wheel_edits_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    """Installed by itself, its dependencies those of this environment."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(tmp_path / "site"), str(wheel)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", EDIT, str(tmp_path / "site")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "edited 3" in done.stdout


@pytest.mark.slow
def test_it_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Everything from the package registry, as a user installs it."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    install = [str(python), "-m", "pip", "install", "--quiet", *constraints, str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    done = subprocess.run(
        [str(python), "-c", EDIT, str(tmp_path / "venv")],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "edited 3" in done.stdout
