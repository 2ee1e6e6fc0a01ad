"""From our configuration to Serve's deployment options."""

from __future__ import annotations

from typing import Any

from ray.serve.config import AutoscalingPolicy, RequestRouterConfig

from serve_app.config import EditorReplicas, Replicas
from serve_app.deployments.affinity import AffinityRouter, SessionRouter
from serve_app.deployments.work_scaling import WorkScaling

_JOBS_LOOKED_AFTER_S = 2.0
"""Instead of every 10 seconds, as Serve does by default."""


def deployment_options(replicas: Replicas, graceful_shutdown_s: float) -> dict[str, Any]:
    """Options for ``Deployment.options``; autoscaling where ``max`` is above ``min``."""
    options: dict[str, Any] = {
        "max_ongoing_requests": replicas.max_ongoing_requests,
        "max_queued_requests": replicas.max_queued_requests,
        "backpressure_config": {"status_code": 429, "retry_after_s": 1},
        "graceful_shutdown_timeout_s": graceful_shutdown_s,
        "max_surge_percent": replicas.surge_percent,
        "max_replicas_per_node": replicas.most_per_node,
        "ray_actor_options": {
            "num_cpus": replicas.num_cpus,
            "num_gpus": replicas.num_gpus,
            "resources": replicas.resources,
        },
    }
    if replicas.max > replicas.min:
        options["autoscaling_config"] = {
            "min_replicas": replicas.min,
            "max_replicas": replicas.max,
            "target_ongoing_requests": replicas.target_ongoing_requests,
            "upscale_delay_s": replicas.upscale_delay_s,
            "downscale_delay_s": replicas.downscale_delay_s,
        }
    else:
        options["num_replicas"] = replicas.min
    return options


def jobs_options(replicas: Replicas, graceful_shutdown_s: float) -> dict[str, Any]:
    """``deployment_options``, and a death is noticed soon: nobody runs the jobs meanwhile."""
    return {
        **deployment_options(replicas, graceful_shutdown_s),
        "health_check_period_s": _JOBS_LOOKED_AFTER_S,
    }


def cache_options(replicas: Replicas, graceful_shutdown_s: float) -> dict[str, Any]:
    """``deployment_options``, and every key at its replica, however long that takes to answer."""
    return {
        **deployment_options(replicas, graceful_shutdown_s),
        "request_router_config": RequestRouterConfig(
            request_router_class=SessionRouter, request_router_kwargs={"num_fallback_replicas": 0}
        ),
    }


def editor_options(replicas: EditorReplicas, graceful_shutdown_s: float) -> dict[str, Any]:
    """``deployment_options``, edits of one image at one replica or the next ones to it.

    With ``target_work_s``, as many replicas as the work that waits calls for.
    """
    options = deployment_options(replicas, graceful_shutdown_s)
    options["request_router_config"] = RequestRouterConfig(
        request_router_class=AffinityRouter,
        request_router_kwargs={"num_fallback_replicas": replicas.max - 1},
    )
    if replicas.target_work_s is not None and replicas.max > replicas.min:
        options["autoscaling_config"]["policy"] = AutoscalingPolicy(
            policy_function=WorkScaling, policy_kwargs={"target_work_s": replicas.target_work_s}
        )
    return options
