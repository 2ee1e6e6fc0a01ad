"""How often A/B verdicts are right, and whether the statistics are those of the literature.

``python -m benchmarks.ab_tests`` simulates tests that were run to the printed size, as a user
would: with only the fields that every request has. It takes about two minutes on one core.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from rich.progress import track
from scipy import integrate, special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportion_effectsize,
    proportions_ztest,
)

from benchmarks.report import RESULTS, Figure, Target, publish, wide_console
from serve_app.api.ab_parsing import parse_ab_test
from serve_app.config import LimitsConfig
from serve_app.workflows.ab_tests.ab_test import AbTest, Arm
from serve_app.workflows.ab_tests.analysis import Analysis, analyse
from serve_app.workflows.ab_tests.picture import drawn
from serve_app.workflows.ab_tests.sample_size import units_per_arm

RUNS = 2_000
TABLES = 200
SIGNIFICANCE = 0.05
_LIMITS = LimitsConfig()


def main() -> None:
    """Run everything and publish the figures."""
    console = wide_console()
    size = units_per_arm(0.05, 0.06, significance=SIGNIFICANCE / 4, power=0.8)
    equal = simulated([0.05] * 5, size, 1, "A/A tests, 5 arms")
    false, uncorrected = winners(equal), share(map(found_uncorrected, equal))
    size = units_per_arm(0.05, 0.06, significance=SIGNIFICANCE, power=0.8)
    different = simulated([0.05, 0.06], size, 2, "5 % against 6 %")
    wrong = share(one.verdict == "winner" and one.winner == "A" for one in different)
    error = worst_error(TABLES, 3)
    (RESULTS / "ab_test.png").write_bytes(drawn(_example()))
    started = time.perf_counter()
    for one in equal[:200]:
        analyse(one.test)
    milliseconds = (time.perf_counter() - started) / 200 * 1000
    publish(
        console,
        "ab_tests",
        [
            Figure(
                f"{RUNS} A/A tests, 5 arms, at the printed size: verdict winner",
                100 * false,
                "%",
                Target(5),
                f"{100 * uncorrected:.1f} % with a p value below .05 if uncorrected",
            ),
            Figure(
                f"{RUNS} tests of 5 % against 6 % at the printed size: verdict winner",
                100 * winners(different),
                "%",
                Target(78, at_most=False),
                f"{size:,} users per arm; the worse arm won {100 * wrong:.2f} %",
            ),
            Figure(
                f"{RUNS} tests of 5 % against 6 % at the printed size: told to go on",
                100 * share(one.verdict == "insufficient_data" for one in different),
                "%",
                Target(0.5),
            ),
            Figure(
                f"{TABLES} random tables: largest difference from scipy and statsmodels",
                error,
                "",
                Target(1e-9),
            ),
            Figure("analysis of 5 arms", milliseconds, "ms"),
        ],
        {"verdicts": {"A/A": verdicts(equal), "5 % against 6 %": verdicts(different)}},
    )


# Simulation.


def simulated(rates: Sequence[float], users: int, seed: int, title: str) -> list[Analysis]:
    """Analyses of tests with these true rates, each arm of ``users``."""
    draws = np.random.default_rng(seed).binomial(users, rates, (RUNS, len(rates)))
    return [_analysed(row, users) for row in track(draws, title)]


def _analysed(conversions: Sequence[int], users: int) -> Analysis:
    counts = [{"conversions": int(count), "impressions": users} for count in conversions]
    body = {
        "variants": {f"v{i}": one for i, one in enumerate(counts)},
        "control": "v0",
        "metric": "conversions",
    }
    return analyse(parse_ab_test(body, _LIMITS).test)


def _example() -> Analysis:
    """One test of three variants, for the picture."""
    counts = {"calm": (9010, 451), "warm": (8987, 512), "loud": (9054, 604)}
    body = {
        "variants": {
            name: {"users": users, "impressions": users + users // 3, "clicks": clicks}
            for name, (users, clicks) in counts.items()
        },
        "control": "calm",
        "metric": "clicks",
    }
    return analyse(parse_ab_test(body, _LIMITS).test)


def found_uncorrected(analysis: Analysis) -> bool:
    """Whether a plain p value below .05 would have been taken for a finding."""
    return any(one.p < SIGNIFICANCE for one in analysis.comparisons)


def winners(analyses: Sequence[Analysis]) -> float:
    return share(one.verdict == "winner" for one in analyses)


def verdicts(analyses: Sequence[Analysis]) -> dict[str, int]:
    return dict(Counter(str(one.verdict) for one in analyses))


def share(found: Any) -> float:
    return float(np.mean([*found]))


# Against the libraries.


def worst_error(tables: int, seed: int) -> float:
    """The largest absolute difference of any statistic; sizes count as wholly right or wrong."""
    gc.freeze()  # statsmodels collects garbage at every correction
    draw = np.random.default_rng(seed)
    tests = [_random_test(draw) for _ in range(tables)]
    return max(_error(test) for test in track(tests, "random tables"))


def _random_test(draw: np.random.Generator) -> AbTest:
    arms = int(draw.integers(2, 6))
    trials = (np.exp(draw.uniform(np.log(1000), np.log(100_000))) * np.ones(arms)).astype(int)
    trials += draw.integers(-5, 6, arms)
    rates = draw.uniform(0.01, 0.8) * draw.uniform(0.9, 1.1, arms)
    successes = draw.binomial(trials, rates)
    pairs = zip(successes, trials, strict=True)
    return AbTest(
        tuple(Arm(f"v{i}", max(1, int(x)), int(n)) for i, (x, n) in enumerate(pairs)), "v0"
    )


def _error(test: AbTest) -> float:
    analysis = analyse(test)
    arms, control = test.arms, test.control_arm
    table = [[arm.successes for arm in arms], [arm.failures for arm in arms]]
    trials = [arm.trials for arm in arms]
    errors = [
        (analysis.ratio.p, stats.chisquare(trials).pvalue),
        (analysis.omnibus_p, stats.chi2_contingency(table, correction=False).pvalue),
        (analysis.size.needed, _needed(control.rate, len(arms) - 1)),
        (analysis.size.power, _power(control.rate, len(arms) - 1, min(trials))),
    ]
    plain = []
    for arm, one in zip(test.others, analysis.comparisons, strict=True):
        counts = ([arm.successes, control.successes], [arm.trials, control.trials])
        plain.append(proportions_ztest(*counts)[1])
        interval = confint_proportions_2indep(
            *(arm.successes, arm.trials, control.successes, control.trials),
            method="newcomb",
            compare="diff",
        )
        errors += [(one.p, plain[-1]), *zip(one.interval, interval, strict=True)]
    corrected = multipletests(plain, SIGNIFICANCE, "holm")[1]
    errors += zip((one.p_corrected for one in analysis.comparisons), corrected, strict=True)
    for arm in arms:
        wilson = proportion_confint(arm.successes, arm.trials, SIGNIFICANCE, "wilson")
        errors += zip(analysis.intervals[arm.name], wilson, strict=True)
        errors.append((analysis.p_best[arm.name], _p_best(arms, arm)))
    return float(max(abs(ours - known) for ours, known in errors))


def _needed(rate: float, comparisons: int) -> int:
    significance, power = SIGNIFICANCE / comparisons, NormalIndPower()
    return ceil(power.solve_power(_effect(rate), None, significance, 0.8, 1, "two-sided"))


def _power(rate: float, comparisons: int, units: int) -> float:
    return float(NormalIndPower().power(_effect(rate), units, SIGNIFICANCE / comparisons))


def _effect(rate: float) -> float:
    return float(proportion_effectsize(1.2 * rate if 1.2 * rate <= 1 else 0.8 * rate, rate))


def _p_best(arms: Sequence[Arm], arm: Arm) -> float:
    """By adaptive quadrature over the quantiles of ``arm``'s posterior."""
    others = [(1 + one.successes, 1 + one.failures) for one in arms if one is not arm]
    a, b = np.transpose(others)

    def below(quantile: float) -> float:
        rate = special.betaincinv(1 + arm.successes, 1 + arm.failures, quantile)
        return float(special.betainc(a, b, rate).prod())

    edges = [1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-6, 1 - 1e-8]
    return float(integrate.quad(below, 0, 1, points=edges, epsabs=1e-12, limit=500)[0])


if __name__ == "__main__":
    main()
