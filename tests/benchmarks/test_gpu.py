"""The GPU benchmark as a program, on the miniature: it must run where the service can't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.acceleration import Acceleration
from benchmarks.gpu.architecture import (
    FULL,
    MINIATURE,
    make_pipeline,
    make_text_encoder,
    make_transformer,
    make_vae,
)
from benchmarks.gpu.bench import Bench, Part, Progress, Unavailable
from benchmarks.gpu.device import Deadline, Device, TimeIsUp
from benchmarks.gpu.end_to_end import latents_difference
from benchmarks.gpu.floor import forward_flop, image_tokens
from benchmarks.gpu.lengths import BATCHES
from benchmarks.gpu.options import PARTS, parse
from benchmarks.gpu.record import PROGRAM, Record, Row, table
from benchmarks.gpu.run import run
from benchmarks.gpu.workload import Edit, Masked, denoise, random_state

ROOT = Path(__file__).resolve().parents[2]
META = torch.device("meta")
CPU = torch.device("cpu")

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


def test_masking_by_stock_gives_the_same_latents() -> None:
    pipeline, edit = _pipeline(), Edit(64, 2)
    by_row, masked = (
        [random_state(pipeline, edit, (length, 1), length) for length in (40, 17)] for _ in range(2)
    )
    denoise(pipeline.transformer, by_row)
    denoise(Masked(pipeline.transformer), masked)
    for one, other in zip(by_row, masked, strict=True):
        torch.testing.assert_close(one.latents, other.latents, atol=1e-5, rtol=0)


def test_modes_tell_their_error(measured: tuple[str, dict[str, Any]]) -> None:
    rows = {row["what"]: row for row in measured[1]["parts"]["modes"]["rows"]}
    assert rows["eager"]["details"]["latents_relative_difference"] == 0
    assert rows["compiled"]["details"]["latents_relative_difference"] < 1e-4
    # Weights of 3 bits of mantissa: an error, but of the size of their rounding.
    assert 1e-4 < rows["float8 storage, eager"]["details"]["latents_relative_difference"] < 0.1
    assert rows["float8 dynamic, compiled"]["status"] == "not here"


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


def test_results_of_several_runs_become_one_file(tmp_path: Path) -> None:
    for name, part in (("a.json", "steps"), ("b.json", "curve")):
        record = Record(tmp_path / name, (), "full")
        record.begin(part, {"date": name})
        record.add(part, Row(f"row of {part}", 2.0, "step", target_s=1.5))
        record.end(part, "complete", 1.0, None)
    together = Record(tmp_path / "all.json", [tmp_path / "a.json", tmp_path / "b.json"], "full")
    together.write()
    parts = json.loads((tmp_path / "all.json").read_text())["parts"]
    assert {name: part["run"]["date"] for name, part in parts.items()} == {
        "steps": "a.json",
        "curve": "b.json",
    }
    assert parts["curve"]["rows"][0]["reached"] is False


@pytest.mark.parametrize(
    "content",
    [json.dumps({"program": "another", "parts": {}}), json.dumps({"program": PROGRAM}), "[]", "{"],
)
def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    out = tmp_path / "gpu.json"
    out.write_text(content)
    with pytest.raises(ValueError, match=r"."):
        Record(out, (), "full")
    assert out.read_text() == content


def test_the_full_size_has_the_published_number_of_parameters() -> None:
    def parameters(model: torch.nn.Module) -> int:
        return sum(weight.numel() for weight in model.parameters())

    # Half the total_size of the bfloat16 checkpoints' safetensors indices.
    assert parameters(make_transformer(FULL, META)) == 20_430_401_088
    assert parameters(make_text_encoder(FULL, META)) == 8_292_166_656


def test_rotary_tables_keep_their_precision_in_bfloat16() -> None:
    full = make_text_encoder(FULL, META)
    assert next(full.parameters()).dtype == torch.bfloat16
    assert {buffer.dtype for buffer in full.buffers()} == {torch.float32}
    assert make_transformer(FULL, META).pos_embed.pos_freqs.dtype == torch.complex64
    assert torch.get_default_dtype() == torch.float32


def test_the_floor_counts_the_operations_that_torch_counts() -> None:
    pipeline = _pipeline()
    steps = 2
    state = random_state(pipeline, Edit(128, steps), (200, 1))
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        denoise(pipeline.transformer, [state])
    blocks = [
        sum(operations.values())
        for name, operations in counter.get_flop_counts().items()
        if name.count(".") == 2 and ".transformer_blocks." in name
    ]
    assert len(blocks) == MINIATURE.transformer["num_layers"]
    counted = forward_flop(MINIATURE.transformer, image_tokens(128), 200)
    # Torch also counts the modulation, 12 width^2 weights once for all tokens.
    modulation = 2 * 12 * 48**2 * len(blocks)
    assert counted == sum(blocks) / steps - modulation


def test_the_floor_at_the_full_size() -> None:
    # 1.64e14 is the figure that the project's targets rest on.
    flop = forward_flop(FULL.transformer, image_tokens(1024), FULL.text_lengths[0])
    assert flop == pytest.approx(1.64e14, rel=0.03)


def test_a_guided_step_is_the_same_in_one_forward_and_in_two() -> None:
    pipeline, edit = _pipeline(), Edit(64, 3, guided=True)
    one, two = (random_state(pipeline, edit, (40, 17)) for _ in range(2))
    denoise(pipeline.transformer, [one])
    denoise(pipeline.transformer, [two], stack_guidance=False)
    assert two.done
    torch.testing.assert_close(two.latents, one.latents, atol=1e-5, rtol=0)


def test_an_acceleration_ends_with_its_context() -> None:
    pipeline = _pipeline()
    way = Acceleration(pipeline.transformer, "_native_math", "eager")
    blocks = pipeline.transformer.transformer_blocks
    for _ in range(2):
        with way.applied():
            assert all(block._compiled_call_impl is not None for block in blocks)
            assert blocks[0].attn.processor._attention_backend == "_native_math"
        assert all(block._compiled_call_impl is None for block in blocks)
        assert blocks[0].attn.processor._attention_backend == "native"


def test_other_latents_are_an_error_in_float32_and_nan_too() -> None:
    latents = torch.randn(1, 4, 8)
    assert latents_difference(latents, latents, "ours")["greatest"] == 0
    for other in (latents + 1e-3, latents * torch.nan):
        with pytest.raises(RuntimeError, match="other latents"):
            latents_difference(other, latents, "ours")
    assert latents_difference((latents + 1).bfloat16(), latents, "ours")["greatest"] > 0.9


def test_entries_are_kept_apart_by_how_our_side_ran() -> None:
    assert parse([]).entry("curve") == "curve"
    assert parse(["--compile"]).entry("curve") == "curve [compiled]"
    assert parse(["--compile"]).entry("modes") == "modes"
    chosen = parse(["--attention", "_native_cudnn", "--guidance", "stacked", "--zero-cond-t"])
    assert chosen.entry("steps") == "steps [_native_cudnn, guidance stacked, zero_cond_t]"
    assert parse(["--tiny"]).out is None
    assert parse([]).device == "cuda"


@pytest.mark.parametrize(
    "arguments", [["--parts", "nonsense"], ["--modes", "fast"], ["--repeats", "0"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    assert exit_.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_help_needs_no_torch() -> None:
    blocked = _WITHOUT.format(names=("torch", "diffusers", "transformers")) + _STANDALONE
    done = subprocess.run(
        [sys.executable, "-c", blocked, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert all(part in done.stdout for part in PARTS)


def test_what_was_not_measured_shows_in_the_table() -> None:
    rows = [
        Row("fast", 1.0, "edit", 2.0, "stock", 0.5, target_s=1.5),
        Row("slow", 2.0, "edit", target_s=1.5),
        Row("large", status="out of memory"),
    ]
    lines = table("steps", rows).splitlines()[2:]
    assert "2.000x stock" in lines[0]
    assert "1.5 pass" in lines[0]
    assert "1.5 MISS" in lines[1]
    assert "[out of memory]" in lines[2]


def test_a_row_that_goes_wrong_is_told_and_costs_no_other() -> None:
    options = parse(["--tiny"])
    deadline = Deadline(1000.0)
    bench = Bench(MINIATURE, Device("cpu"), options, deadline, Progress(), matmul_rate=1e12)
    record = Record(None, (), "miniature")
    record.begin("curve", {"date": "now"})
    part = Part("curve", bench, record)
    with part.row("too large"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with part.row("not installed"):
        raise Unavailable("flash-attn is missing")
    assert not part.failed
    with part.row("broken"):
        raise ValueError("first line\nsecond line")
    assert part.failed
    assert [(row.status, row.note) for row in part.rows] == [
        ("out of memory", ""),
        ("not here", "flash-attn is missing"),
        ("failed", "ValueError: first line"),
    ]
    with pytest.raises(TimeIsUp), part.row("too late"):
        deadline.require(2000.0)
    assert len(part.rows) == 3


def test_a_deadline_refuses_what_would_not_end() -> None:
    deadline = Deadline(1000.0)
    deadline.require(900.0)
    with pytest.raises(TimeIsUp):
        deadline.require(1001.0)


def _pipeline() -> Any:
    return make_pipeline(make_transformer(MINIATURE, CPU), make_vae(MINIATURE, CPU), None)
