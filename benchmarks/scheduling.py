"""Scheduling policies, simulated and on the real engine: `python -m benchmarks.scheduling`."""

from __future__ import annotations

import copy
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.apart import Apart
from benchmarks.interleave import interleaved, median_ratio
from benchmarks.policies import FirstComeFirstServed, ProcessorSharing
from benchmarks.report import REPOSITORY, RESULTS, Figure, Target, publish, wide_console
from benchmarks.scheduled import ScheduledSide
from benchmarks.scheduling_picture import draw
from benchmarks.serving import editor_threads
from benchmarks.sides import Edit as RealEdit
from benchmarks.simulation import Edit, simulate
from benchmarks.tiny import tiny_model
from benchmarks.traces import (
    SIZE_512,
    SIZE_1024,
    h200_step_seconds,
    longest_tenth,
    percentile,
    poisson,
)
from serve_app.config import ModelConfig, SchedulingConfig
from serve_app.engine.costs import Costs
from serve_app.engine.policy import LeastWorkFirst, Policy
from serve_app.serve_config import check

FCFS, SHARING, OURS = "first come first served", "full batches", "least work first"
SEEDS = range(4)
SIMULATED = 1500
MAX_BATCH = 8

REQUESTS = 300
LOAD = 0.8
SIDES = (96, 192)
STEPS = (4, 20)
CALIBRATION = 40
ROUNDS = 10
LEAVERS = 50
VARIANTS = 8
ENCODE_REPEATS = 7


def main() -> None:
    console = wide_console()
    config = check(REPOSITORY / "configs" / "local.yaml")[0]
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    console.print("Simulated: an H200 by its published step times …")
    _simulated(figures, details)
    console.print("Simulated: a tenant that sends ten times more …")
    _fairness(figures, details)
    with tempfile.TemporaryDirectory() as name:
        _measured(console.print, tiny_model(Path(name)), editor_threads(config), figures, details)
    draw(details, RESULTS / "scheduling.png")
    publish(console, "scheduling", figures, details)


def policies() -> dict[str, tuple[Policy, Costs | None]]:
    """Fresh ones, with what the simulation teaches them."""
    costs = Costs()
    return {
        FCFS: (FirstComeFirstServed(), None),
        SHARING: (ProcessorSharing(MAX_BATCH), None),
        OURS: (LeastWorkFirst(costs, SchedulingConfig(), MAX_BATCH), costs),
    }


def _simulated(figures: list[Figure], details: dict[str, Any]) -> None:
    """A mix of few-step drafts and 50-step finals, at both sizes."""
    mixes = {
        "one in ten with 50 steps, load 0.9": ((4,) * 9 + (50,), 0.9),
        "one in four with 50 steps, load 0.8": ((4, 4, 4, 50), 0.8),
        "half with 50 steps, load 0.8": ((4, 50), 0.8),
    }
    details["simulated"] = {}
    for number, (mix, (steps, load)) in enumerate(mixes.items()):
        traces = [
            poisson(seed, SIMULATED, load, (SIZE_1024, SIZE_512), steps, h200_step_seconds)
            for seed in SEEDS
        ]
        means = {name: statistics.mean(_means(name, traces)) for name in policies()}
        details["simulated"][mix] = means
        better = min(means[FCFS], means[SHARING])
        figures.append(
            Figure(
                f"simulated H200, {mix}: mean latency, ours / the better of two",
                means[OURS] / better,
                "x time",
                Target(0.6) if number == 0 else None,
                f"full batches {means[SHARING]:.1f} s, first come {means[FCFS]:.1f} s",
            )
        )


def _means(name: str, traces: Sequence[Sequence[Edit]]) -> list[float]:
    means = []
    for trace in traces:
        policy, costs = policies()[name]
        means.append(statistics.mean(simulate(policy, trace, h200_step_seconds, costs)))
    return means


def _fairness(figures: list[Figure], details: dict[str, Any]) -> None:
    """Others beside a tenant that sends ten times more, against others with half a device."""
    beside, half = [], []
    for seed in SEEDS:
        others = poisson(seed, 300, 0.09, (SIZE_1024,), (4, 20), h200_step_seconds, "others")
        crowd = poisson(seed + 100, 3000, 0.9, (SIZE_1024,), (4, 20), h200_step_seconds, "crowd")
        policy, costs = policies()[OURS]
        together = simulate(policy, [*others, *crowd], h200_step_seconds, costs)
        beside.append(percentile(together[: len(others)], 0.99))
        policy, costs = policies()[OURS]
        alone = copy.deepcopy(others)
        half.append(percentile(simulate(policy, alone, _half(h200_step_seconds), costs), 0.99))
    details["fairness"] = {"beside_crowd_p99_s": beside, "half_device_p99_s": half}
    figures.append(
        Figure(
            "simulated: p99 of others beside a tenant that sends 10x / with half a device",
            statistics.mean(beside) / statistics.mean(half),
            "x time",
            Target(1.2),
            f"half a device {statistics.mean(half):.1f} s",
        )
    )


def _half(step_seconds: Callable[[int, int], float]) -> Callable[[int, int], float]:
    return lambda tokens, rows: 2 * step_seconds(tokens, rows)


def _measured(
    say: Callable[[str], None],
    model: ModelConfig,
    threads: int,
    figures: list[Figure],
    details: dict[str, Any],
) -> None:
    with (
        Apart(threads, ScheduledSide, model, True) as baseline,
        Apart(threads, ScheduledSide, model, False) as engine,
    ):
        say("The real engine: Poisson arrivals of two sizes …")
        _poisson(baseline, engine, figures, details)
        say("The real engine: short edits behind long ones …")
        _short_behind_long(baseline, engine, figures, details)
        say("The real engine: leaving …")
        edits = [RealEdit("leave", 20, 4.0, n, 128) for n in range(4)]
        after = engine.call("steps_after_leaving", edits, LEAVERS, 1)
        details["steps_after_leaving"] = after
        figures.append(
            Figure(
                "from disconnect to freed place, most of all",
                max(after),
                "steps",
                Target(1),
                f"{LEAVERS} edits dropped at random moments",
            )
        )
        say("The real engine: variants of one image …")
        _variants(engine, figures, details)
        for side in (baseline, engine):
            side.call("close")


def _poisson(
    baseline: Apart, engine: Apart, figures: list[Figure], details: dict[str, Any]
) -> None:
    draw_from = random.Random(0)
    edits = [_random_edit(draw_from, number) for number in range(REQUESTS)]
    service_s = baseline.call("service_seconds", edits[:CALIBRATION])
    engine.call("service_seconds", edits[:CALIBRATION])  # warm, and its costs measured
    trace, now = [], 0.0
    for edit in edits:
        now += draw_from.expovariate(LOAD / service_s)
        trace.append((now, edit))
    latencies = {
        FCFS: baseline.call("latencies", trace),
        OURS: engine.call("latencies", trace),
    }
    work = [edit.steps * edit.side**2 for edit in edits]
    means = {name: statistics.mean(values) for name, values in latencies.items()}
    tails = {
        name: percentile(longest_tenth(work, values), 0.99) for name, values in latencies.items()
    }
    details["poisson"] = {
        "service_s": service_s,
        "mean_s": means,
        "p99_of_longest_tenth_s": tails,
        "latencies_s": latencies,
    }
    what = f"{REQUESTS} Poisson arrivals at {LOAD:.0%} load"
    figures += [
        Figure(
            f"{what}: mean latency, ours / first come first served",
            means[OURS] / means[FCFS],
            "x time",
            Target(0.7),
            f"one at a time {means[FCFS]:.2f} s; service alone {service_s:.2f} s",
        ),
        Figure(
            f"{what}: p99 of the longest tenth",
            tails[OURS] / tails[FCFS],
            "x time",
            Target(1.5),
            f"one at a time {tails[FCFS]:.2f} s",
        ),
    ]


def _random_edit(draw_from: random.Random, number: int) -> RealEdit:
    steps = draw_from.randint(*STEPS)
    return RealEdit("make it a watercolour", steps, 4.0, number, draw_from.choice(SIDES))


def _short_behind_long(
    baseline: Apart, engine: Apart, figures: list[Figure], details: dict[str, Any]
) -> None:
    """Bursts of four long edits and two short ones right behind them."""
    latencies: dict[str, list[float]] = {FCFS: [], OURS: []}
    for burst in range(ROUNDS):
        photos = iter(range(1000 + 10 * burst, 1010 + 10 * burst))
        trace = [(0.0, RealEdit("long", 20, 4.0, next(photos), 128)) for _ in range(4)]
        trace += [(0.1 + n / 50, RealEdit("short", 4, 4.0, next(photos), 128)) for n in range(2)]
        for name, side in ((FCFS, baseline), (OURS, engine)):
            latencies[name] += side.call("latencies", trace)[4:]
    p95 = {name: percentile(values, 0.95) for name, values in latencies.items()}
    details["short_behind_long"] = {"p95_s": p95, "latencies_s": latencies}
    figures.append(
        Figure(
            "4 steps arriving behind 20 steps: p95 of the short, ours / first come first served",
            p95[OURS] / p95[FCFS],
            "x time",
            Target(0.4),
            f"one at a time {p95[FCFS]:.2f} s",
        )
    )


def _variants(engine: Apart, figures: list[Figure], details: dict[str, Any]) -> None:
    """Eight prompts on one image against eight prompts on eight images, all new."""

    def encode(one_image: bool) -> Callable[[int], float]:
        def measure(repeat: int) -> float:
            first = 2000 + 100 * repeat + 50 * one_image
            edits = [
                RealEdit(f"variant {n} of {first}", 1, 4.0, first + n * (not one_image), 128)
                for n in range(VARIANTS)
            ]
            return float(engine.call("encode_seconds", edits))

        return measure

    ways = {"variants": encode(True), "unrelated": encode(False)}
    seconds = interleaved(ways, ENCODE_REPEATS)
    details["encode_s"] = seconds
    figures.append(
        Figure(
            f"encoding {VARIANTS} prompts on one image / {VARIANTS} unrelated edits",
            median_ratio(seconds["variants"], seconds["unrelated"]),
            "x time",
            Target(0.3),
            f"unrelated {statistics.median(seconds['unrelated']):.2f} s",
        )
    )


if __name__ == "__main__":
    main()
