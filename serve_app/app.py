"""The graph: seven deployments and who calls whom.

Without ``from __future__ import annotations``: Serve reads the builder's annotation, and
passes the raw arguments silently if it is a string.
"""

from typing import Any

from ray.serve import Application

from serve_app.config import ServiceConfig
from serve_app.deployments.cache import Cache
from serve_app.deployments.editor import Editor
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.jobs import Jobs
from serve_app.deployments.monitor import Monitor
from serve_app.deployments.options import (
    cache_options,
    deployment_options,
    editor_options,
    jobs_options,
)
from serve_app.deployments.router import Router
from serve_app.deployments.validator import Validator


def build(args: dict[str, Any]) -> Application:
    """Build the service from the ``args`` of a Serve application, a ``ServiceConfig``.

    Raises pydantic's ``ValidationError``, which names the field, for unknown or wrong
    settings.
    """
    config = ServiceConfig.model_validate(args)
    sizes = config.deployments

    def sized(deployment: Any, name: str, options: Any = deployment_options) -> Any:
        return deployment.options(**options(getattr(sizes, name), sizes.graceful_shutdown_s))

    editor = sized(Editor, "editor", editor_options).bind(config)
    validator = sized(Validator, "validator").bind(config, editor)
    cache = sized(Cache, "cache", cache_options).bind(config)
    router = sized(Router, "router").bind(config, editor, validator, cache)
    monitor = sized(Monitor, "monitor").bind(config)
    jobs = sized(Jobs, "jobs", jobs_options).bind(config, router, validator, monitor)
    return sized(Ingress, "ingress").bind(config, router, validator, jobs, monitor)
