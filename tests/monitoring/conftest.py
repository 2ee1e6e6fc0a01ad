"""The real engine on the miniature, as the tests of workflows have it."""

from __future__ import annotations

from tests.workflows.conftest import config, engine, model, request_for_blue

__all__ = ["config", "engine", "model", "request_for_blue"]
