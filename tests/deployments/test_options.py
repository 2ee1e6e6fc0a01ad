"""Our sizes as Serve's options."""

from __future__ import annotations

from serve_app.app import build
from serve_app.config import EditorReplicas, Replicas
from serve_app.deployments.affinity import AffinityRouter, SessionRouter
from serve_app.deployments.options import cache_options, deployment_options, editor_options
from tests.deployments.copies import printed_of_copy


def test_a_fixed_size_is_a_number_of_replicas() -> None:
    options = deployment_options(Replicas(min=2, max=2), 30)
    assert options["num_replicas"] == 2
    assert "autoscaling_config" not in options


def test_a_range_is_autoscaled() -> None:
    replicas = Replicas(
        min=1, max=3, target_ongoing_requests=5, upscale_delay_s=1, downscale_delay_s=2
    )
    options = deployment_options(replicas, 30)
    assert options["autoscaling_config"] == {
        "min_replicas": 1,
        "max_replicas": 3,
        "target_ongoing_requests": 5,
        "upscale_delay_s": 1,
        "downscale_delay_s": 2,
    }
    assert "num_replicas" not in options


def test_queues_are_bounded_and_shed_with_a_reason_to_come_back() -> None:
    options = deployment_options(Replicas(max_queued_requests=7), 30)
    assert options["max_queued_requests"] == 7
    assert options["backpressure_config"] == {"status_code": 429, "retry_after_s": 1}


def test_an_update_starts_new_replicas_before_it_stops_old_ones() -> None:
    assert deployment_options(Replicas(), 30)["max_surge_percent"] == 100
    assert deployment_options(Replicas(surge_percent=0), 30)["max_surge_percent"] == 0


def test_custom_resources_bind_a_deployment_to_nodes() -> None:
    options = deployment_options(Replicas(num_cpus=0.5, resources={"front": 0.01}), 30)
    assert options["ray_actor_options"] == {
        "num_cpus": 0.5,
        "num_gpus": 0.0,
        "resources": {"front": 0.01},
    }


def test_shards_are_chosen_by_key_and_sized_like_the_others() -> None:
    options = cache_options(Replicas(min=3, max=3), 30)
    router = options.pop("request_router_config")
    assert router.get_request_router_class().__name__ == SessionRouter.__name__
    assert router.request_router_kwargs == {"num_fallback_replicas": 0}
    assert options == deployment_options(Replicas(min=3, max=3), 30)


def test_editors_are_chosen_by_affinity_and_sized_like_the_others() -> None:
    options = editor_options(EditorReplicas(min=2, max=3), 30)
    router = options.pop("request_router_config").get_request_router_class()
    assert router.__name__ == AffinityRouter.__name__
    assert options == deployment_options(EditorReplicas(min=2, max=3), 30)


def test_serve_copies_the_router_into_processes_that_lack_this_package() -> None:
    config = editor_options(EditorReplicas(), 30)["request_router_config"]
    pickled = config.get_serialized_request_router_cls()
    printed = printed_of_copy(pickled, "print(copy.__mro__[2].__name__)")
    assert printed.split() == [b"ConsistentHashRouter"]


def test_serve_takes_the_options() -> None:
    assert build({}) is not None
