"""How many editors there should be, by the work that waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config import EditorReplicas
from serve_app.deployments.options import editor_options
from serve_app.deployments.work_scaling import WORK_S, WorkScaling, editors_for
from tests.deployments.copies import printed_of_copy


def context(replicas: int, target: int, **work_s: float) -> Any:
    """What Serve tells a policy of its replicas; the rest of it is of no interest here."""
    return SimpleNamespace(
        aggregated_metrics={WORK_S: work_s} if work_s else {},
        current_num_replicas=replicas,
        target_num_replicas=target,
    )


@pytest.mark.parametrize(
    ("work_s", "editors"), [(0.0, 0), (0.1, 1), (60.0, 1), (60.1, 2), (600.0, 10)]
)
def test_work_is_shared_out_by_the_target(work_s: float, editors: int) -> None:
    assert editors_for(work_s, 60.0) == editors


@given(st.just(0.0) | st.floats(1e-3, 1e6), st.floats(1e-3, 1e4))
def test_no_editor_would_have_more_than_the_target(work_s: float, target_work_s: float) -> None:
    editors = editors_for(work_s, target_work_s)
    assert work_s <= editors * target_work_s * (1 + 1e-9)
    assert editors == 0 or work_s > (editors - 1) * target_work_s * (1 - 1e-9)


def test_the_work_of_all_replicas_counts() -> None:
    policy = WorkScaling(target_work_s=60.0)
    assert policy(context(3, 3, a=50.0, b=50.0, c=50.0)) == (3, {})
    assert policy(context(2, 2, a=0.0, b=0.0)) == (0, {})


def test_while_some_have_not_reported_no_editor_goes() -> None:
    policy = WorkScaling(target_work_s=60.0)
    assert policy(context(3, 4, a=50.0)) == (4, {})
    assert policy(context(1, 1)) == (1, {})
    assert policy(context(3, 4, a=500.0)) == (9, {})


def test_editors_are_scaled_by_it_if_that_is_wanted() -> None:
    wanted = EditorReplicas(min=1, max=4, target_work_s=60.0)
    policy = editor_options(wanted, 30)["autoscaling_config"]["policy"]
    assert policy.policy_kwargs == {"target_work_s": 60.0}
    assert "policy" not in editor_options(EditorReplicas(min=1, max=4), 30)["autoscaling_config"]
    assert "autoscaling_config" not in editor_options(
        EditorReplicas(min=2, max=2, target_work_s=60.0), 30
    )


def test_serve_copies_the_policy_into_a_process_that_lacks_this_package() -> None:
    wanted = EditorReplicas(min=1, max=4, target_work_s=60.0)
    policy = editor_options(wanted, 30)["autoscaling_config"]["policy"]
    code = (
        "facts = {'aggregated_metrics': {'work_s': {'a': 25.0}}, 'current_num_replicas': 1};"
        "context = type('', (), facts); print(copy(target_work_s=10)(context)[0])"
    )
    assert printed_of_copy(policy.get_serialized_policy_def(), code).split() == [b"3"]
