"""A/B tests to analyse, in one line each, and random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from serve_app.workflows.ab_tests.ab_test import AbTest, Arm


def ab_test(*counts: tuple[int, int], **plan: Any) -> AbTest:
    """Arms A, B, … with (successes, trials); A is the control."""
    arms = tuple(Arm(chr(ord("A") + i), *one) for i, one in enumerate(counts))
    return AbTest(arms, "A", **plan)


def random_tests(seed: int, number: int, most_arms: int = 6) -> list[AbTest]:
    """Tests of 2 to ``most_arms`` arms and 20 to 200,000 units, with rates near each other."""
    draw = np.random.default_rng(seed)
    tests = []
    for _ in range(number):
        arms = int(draw.integers(2, most_arms + 1))
        trials = np.exp(draw.uniform(np.log(20), np.log(200_000), arms)).astype(int)
        rates = np.clip(draw.uniform(0.02, 0.9) * draw.uniform(0.9, 1.1, arms), 0, 1)
        successes = draw.binomial(trials, rates)
        successes[0] = max(1, successes[0])
        tests.append(ab_test(*((int(x), int(n)) for x, n in zip(successes, trials, strict=True))))
    return tests


@st.composite
def any_test(draw: st.DrawFn) -> AbTest:
    """Whatever the API lets through, the extremes included."""
    count = st.integers(1, 10**12) | st.integers(1, 50)
    arms = []
    for _ in range(draw(st.integers(2, 5))):
        trials = draw(count)
        arms.append((draw(st.sampled_from([0, trials]) | st.integers(0, trials)), trials))
    return ab_test(
        *arms,
        minimum_effect=draw(st.sampled_from([0.001, 0.2, 1.0, 10.0])),
        baseline=draw(st.none() | st.sampled_from([1e-6, 0.05, 0.5, 1 - 1e-6])),
    )
