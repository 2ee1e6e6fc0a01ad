"""Loads: what is sent, and the figures of what came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.calibrating import Keys
from benchmarks.scale.loads import LOADS, REQUESTS, Load, Ran, Seen


def test_figures_are_of_the_answers_of_all_turns() -> None:
    turns = [
        Ran([0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 5.0], unserved=1),
        Ran([0.0, 1.0, 2.0], [2.0, 1.0, 1.0], unserved=2),
    ]
    seen = Seen.of(turns)
    assert (seen.per_s, seen.p50_s, seen.p95_s, seen.unserved) == (0.75, 1.0, 5.0, 3)
    assert Seen.mean([seen, replace(seen, p50_s=3.0)]).p50_s == 2.0


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_a_turn_has_photos_that_no_other_has(load: Load) -> None:
    keys = Keys()
    first, second = load.requests(0, 3.0, keys), load.requests(1, 3.0, keys)
    assert not {each.key for each in first} & {each.key for each in second}
    assert len({each.key for each in first}) < len(first)  # some are sent again
    assert len(first) == pytest.approx(REQUESTS, rel=0.3)
    deaths = load.kill_at(first)
    assert len(deaths) == load.deaths
    assert all(0 < at < first[-1].at for at in deaths)
