"""The policies that the service's is compared with do what their names say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.policies import FirstComeFirstServed, ProcessorSharing
from benchmarks.simulation import Edit, simulate
from serve_app.engine.policy import Work


def second(tokens: int, rows: int) -> float:
    """Every step takes a second, whatever is in it."""
    return 1.0


traces = st.lists(
    st.builds(Edit, st.integers(0, 20).map(float), st.integers(1, 5), st.sampled_from([64, 256])),
    min_size=1,
    max_size=12,
    unique_by=lambda edit: edit.at,
)


@given(trace=traces)
def test_first_come_first_served_ends_in_the_order_of_arrival(trace: list[Edit]) -> None:
    simulate(FirstComeFirstServed(), trace, second)
    ended = [edit.finished for edit in sorted(trace, key=lambda edit: edit.at)]
    assert ended == sorted(ended)


@given(crowd=st.lists(st.sampled_from("ab"), min_size=1, max_size=12), limit=st.integers(1, 6))
def test_no_place_stays_empty_while_a_companion_waits(crowd: list[str], limit: int) -> None:
    works = [Work(key, 64, 1, 4, float(n)) for n, key in enumerate(crowd)]
    chosen = ProcessorSharing(limit).choose(works, 0.0)
    companions = [work for work in works if work.key == works[0].key]
    assert chosen == companions[:limit]


@given(trace=traces, limit=st.integers(1, 6))
def test_sharing_starves_nobody(trace: list[Edit], limit: int) -> None:
    """In turns, everybody is served at least once in as many steps as there are requests."""
    simulate(ProcessorSharing(limit), trace, second)
    for edit in trace:
        assert 0 < edit.finished - edit.at <= edit.steps * len(trace) + 1


def test_groups_that_cannot_share_a_forward_take_turns() -> None:
    policy = ProcessorSharing(4)
    works = [Work(key, 64, 1, 4, 0.0) for key in "abab"]
    turns = []
    for _ in range(4):
        chosen = policy.choose(works, 0.0)
        policy.charge(chosen, works, 1.0)
        turns.append("".join(str(work.key) for work in chosen))
    assert turns == ["aa", "bb", "aa", "bb"]


def test_nobody_waiting_is_an_empty_batch() -> None:
    assert FirstComeFirstServed().choose([], 0.0) == []
