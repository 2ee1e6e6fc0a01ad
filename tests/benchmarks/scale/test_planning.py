"""Runs of a small cluster, sizes, and the program's surface."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from benchmarks.scale.changes import Scaling
from benchmarks.scale.ledger import Spent
from benchmarks.scale.runs import MIXED, MIXES, Run, edit_s, simulate
from benchmarks.scale.sizing import Costs, first_full, gpus_per_replica, recommended

MEASURED = {
    "cpu_ms": {
        "edit": {"proxy": 10, "ingress": 40, "router": 90, "cache": 20, "validator": 100},
        "near_hit": {"proxy": 5, "ingress": 10},
    },
    "png_cpu_ms": 60,
    "choice_ms": {"8": 0.1, "64": 0.2, "512": 2.0},
    "idle_cores": {"controller": 0.05},
    "replicas": 10,
}
COSTS = Costs.of(MEASURED)
FRONT = COSTS.with_editors(8)


def run(load: float, **more: object) -> Run:
    shape = replace(recommended(COSTS, 4, "4 steps"), editors=4)
    return Run(shape, FRONT, "4 steps", load, lasts_s=400, **more)  # type: ignore[arg-type]


def test_below_capacity_what_is_offered_is_served_and_devices_are_as_busy_as_the_load() -> None:
    result = simulate(run(0.6, deaths=None))
    assert result.served_per_s == pytest.approx(result.offered_per_s, rel=0.05)
    assert result.busy["devices"] == pytest.approx(0.6, rel=0.15)
    assert (result.refused, result.lost) == (0, 0)
    assert all(0 < busy < 0.7 for busy in result.busy.values())


def test_above_capacity_devices_are_busy_and_the_rest_is_refused() -> None:
    result = simulate(run(1.5, deaths=None))
    assert result.busy["devices"] == pytest.approx(1.0, abs=0.02)
    assert result.refused > 0.2


def test_the_same_run_gives_the_same_result() -> None:
    assert simulate(run(0.8)) == simulate(run(0.8))
    assert simulate(run(0.8)) != simulate(run(0.8, seed=10))


def test_scaling_pays_for_fewer_hours_than_all_editors_would_cost() -> None:
    scaling = Scaling(20, 1, 4, upscale_delay_s=5, downscale_delay_s=30, load_s=20)
    calm = run(0.1, scaling=scaling, deaths=None)
    shape = replace(calm.shape, editors=1, spare_editors=3)
    result = simulate(replace(calm, shape=shape, later=0.7))
    assert 400 / 3600 < result.editor_hours < 4 * 400 / 3600
    assert result.lost == 0


def test_more_gpus_and_fewer_steps_need_more_in_front() -> None:
    few, many = (recommended(COSTS, gpus, "4 steps").routers for gpus in (8, 512))
    assert many > 30 * few / 2
    assert recommended(COSTS, 512, "50 steps").routers < many
    fed = {mix: gpus_per_replica(COSTS, mix, 0.6)["routers"] for mix in MIXES}
    assert fed["4 steps"] < fed[MIXED] < fed["50 steps"]
    assert fed["50 steps"] / fed["4 steps"] == pytest.approx(edit_s("50 steps") / edit_s("4 steps"))


def test_the_first_bottleneck_comes_first() -> None:
    full = list(first_full(COSTS, "4 steps").values())
    assert full == sorted(full)


def test_cpu_time_is_counted_by_what_is_below_this_process() -> None:
    code = (
        "import time\ninput()\nuntil = time.process_time() + 0.5\n"
        "while time.process_time() < until: pass\nprint('done', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        with Spent() as spent:
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
        child.stdin.close()
    assert spent.by_part["other"] >= 0.4  # the system counts in hundredths


def test_the_program_names_its_parts_and_refuses_others() -> None:
    from typer import Typer

    from benchmarks.scale.__main__ import main

    app = Typer()
    app.command()(main)
    told = CliRunner().invoke(app, ["--help"], terminal_width=200)
    assert told.exit_code == 0
    assert all(part in told.output for part in ("measure", "validate", "plan"))
    refused = CliRunner().invoke(app, ["--parts", "guess"])
    assert refused.exit_code == 2
    assert "no such part: guess" in refused.output
