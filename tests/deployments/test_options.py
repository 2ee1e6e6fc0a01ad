"""Our sizes as Serve's options."""

from __future__ import annotations

from serve_app.app import build
from serve_app.config import Replicas
from serve_app.deployments.options import deployment_options


def test_a_fixed_size_is_a_number_of_replicas() -> None:
    options = deployment_options(Replicas(min=2, max=2), 30)
    assert options["num_replicas"] == 2
    assert "autoscaling_config" not in options


def test_a_range_is_autoscaled() -> None:
    options = deployment_options(Replicas(min=1, max=3, target_ongoing_requests=5), 30)
    assert options["autoscaling_config"] == {
        "min_replicas": 1,
        "max_replicas": 3,
        "target_ongoing_requests": 5,
    }
    assert "num_replicas" not in options


def test_queues_are_bounded_and_shed_with_a_reason_to_come_back() -> None:
    options = deployment_options(Replicas(max_queued_requests=7), 30)
    assert options["max_queued_requests"] == 7
    assert options["backpressure_config"] == {"status_code": 429, "retry_after_s": 1}


def test_serve_takes_the_options() -> None:
    assert build({}) is not None
