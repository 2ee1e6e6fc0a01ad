"""The program, on the miniature: it must run where the service can't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu.architecture import MINIATURE
from benchmarks.gpu.lengths import BATCHES
from benchmarks.gpu.options import PARTS, parse
from benchmarks.gpu.record import PROGRAM, Record, Row
from benchmarks.gpu.run import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]

_WITHOUT = """
import runpy, sys
for name in {names!r}:
    sys.modules[name] = None  # importing it raises ImportError
"""
_ABSENT = (
    "ray",
    "pydantic",
    "fastapi",
    "starlette",
    "rich",
    "skimage",
    "scipy",
    "cv2",
    "torchvision",
)
_STANDALONE = (
    _WITHOUT.format(names=_ABSENT)
    + """
sys.argv[0] = "benchmarks.gpu"
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""
)


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the program where only torch, diffusers and transformers can be imported."""
    return subprocess.run(
        [sys.executable, "-c", _STANDALONE, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """All parts of the miniature, once: what was printed and what was written."""
    out = tmp_path_factory.mktemp("gpu") / "gpu.json"
    done = started("--tiny", "--repeats", "1", "--commit", "abc", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(out.read_text())


def test_every_part_is_complete_and_says_what_was_measured(
    measured: tuple[str, dict[str, Any]],
) -> None:
    printed, results = measured
    assert results["program"] == PROGRAM
    assert "random weights" in results["weights"]
    assert "random weights" in printed
    assert list(results["parts"]) == list(PARTS)
    for part in results["parts"].values():
        assert part["status"] == "complete"
        assert part["seconds"] > 0
        assert part["run"]["commit"] == "abc"
        assert part["run"]["versions"]["torch"] == torch.__version__.partition("+")[0] or (
            part["run"]["versions"]["torch"] == torch.__version__
        )
        assert part["run"]["matmul_tflops"] > 0
        for row in part["rows"]:
            assert row["status"] in ("measured", "not here")
            if row["status"] == "measured":
                assert row["seconds"] > 0
                assert row["share_of_floor"] > 0
                assert row["what"] in printed


def test_both_sides_of_whole_edits_made_the_same_latents_and_stages_add_up(
    measured: tuple[str, dict[str, Any]],
) -> None:
    rows = measured[1]["parts"]["end_to_end"]["rows"]
    assert len(rows) == 8  # 2 numbers of steps, without and with guidance, stock and ours
    for row in rows:
        details = row["details"]
        assert set(details["stages"]) == {"text_encode", "vae_encode", "denoise", "decode", "png"}
        assert all(seconds > 0 for seconds in details["stages"].values())
        total = sum(details["stages"].values()) + details["between_stages"]
        assert total == pytest.approx(row["seconds"], rel=1e-3)
        if "ours" in row["what"]:
            assert details["latents_difference_from_stock"]["greatest"] <= 1e-4
            assert row["against"] == "stock"


def test_the_guided_step_is_measured_both_ways(measured: tuple[str, dict[str, Any]]) -> None:
    names = [row["what"] for row in measured[1]["parts"]["steps"]["rows"]]
    assert "guided: ours, eager, one forward" in names
    assert "guided: ours, eager, two forwards" in names
    assert "guided: stock, two forwards" in names
    assert len(set(names)) == len(names)


def test_the_curve_has_every_batch_and_its_gain(measured: tuple[str, dict[str, Any]]) -> None:
    rows = measured[1]["parts"]["curve"]["rows"]
    for side in MINIATURE.curve_sides:
        equal = [row for row in rows if row["details"]["side"] == side]
        assert [row["details"]["batch"] for row in equal] == [1, 2, 4, 8]
        for row in equal:
            gain = row["details"]["batch"] * equal[0]["seconds"] / row["seconds"]
            assert row["times_as_fast"] == pytest.approx(gain, rel=1e-3)


def test_prompts_of_several_lengths_are_measured_by_row_and_masked(
    measured: tuple[str, dict[str, Any]],
) -> None:
    rows = measured[1]["parts"]["lengths"]["rows"]
    ways = [row["what"].partition(": ")[2] for row in rows[:3]]
    assert ways == [
        "equal prompts",
        "prompts of several lengths, attention by row",
        "prompts of several lengths, masked",
    ]
    assert [row["against"] for row in rows[:3]] == [None, "equal prompts", "equal prompts"]
    assert len(rows) == 3 * len(BATCHES) * len(MINIATURE.curve_sides)


def test_modes_tell_their_error(measured: tuple[str, dict[str, Any]]) -> None:
    rows = {row["what"]: row for row in measured[1]["parts"]["modes"]["rows"]}
    assert rows["eager"]["details"]["latents_relative_difference"] == 0
    assert rows["compiled"]["details"]["latents_relative_difference"] < 1e-4
    # Weights of 3 bits of mantissa: an error, but of the size of their rounding.
    assert 1e-4 < rows["float8 storage, eager"]["details"]["latents_relative_difference"] < 0.1
    assert rows["float8 dynamic, compiled"]["status"] == "not here"


def test_edits_that_arrive_at_once_run_through_the_whole_engine(tmp_path: Path) -> None:
    """In float32 the part fails unless every edit's latents are stock's."""
    out = tmp_path / "gpu.json"
    assert run(parse(["--tiny", "--parts", "together", "--out", str(out)])) == 0
    stock, ours, left = json.loads(out.read_text())["parts"]["together"]["rows"]
    ((_, number),) = MINIATURE.together
    assert len(stock["details"]["seconds"]) == len(ours["details"]["seconds"]) == number
    assert ours["against"] == "stock"
    assert ours["details"]["finite"]
    assert 1 <= ours["details"]["mean_batch"] <= number
    assert len(left["details"]["seconds"]) == number - number // 2
    assert left["details"]["pending_after"] == 0


def test_a_run_without_time_leaves_parts_out_and_keeps_earlier_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    record = Record(out, (), "miniature")
    record.begin("curve", {"date": "earlier"})
    record.add("curve", Row("a row", 1.0, "step"))
    before = json.loads(out.read_text())
    options = parse(["--tiny", "--budget-s", "0", "--parts", "curve,steps", "--out", str(out)])
    assert run(options) == 0
    assert "the time is up" in capsys.readouterr().out
    assert json.loads(out.read_text()) == before


def test_without_a_gpu_the_full_size_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert run(parse(["--parts", "curve", "--out", "/dev/null/none"])) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_help_needs_no_torch() -> None:
    blocked = _WITHOUT.format(names=("torch", "diffusers", "transformers")) + _STANDALONE
    done = subprocess.run(
        [sys.executable, "-c", blocked, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert all(part in done.stdout for part in PARTS)
