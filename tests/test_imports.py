"""What importing costs and pulls in, seen from a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "diffusers", "transformers")


def imported(statement: str) -> set[str]:
    """The top-level modules that ``statement`` loads."""
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(run.stdout)}


@pytest.mark.parametrize("module", ["serve_app", "serve_app.api", "serve_app.api.app"])
def test_the_http_surface_imports_neither_torch_nor_ray(module: str) -> None:
    assert imported(f"import {module}").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "serve_app.deployments.router",
        "serve_app.deployments.validator",
        "serve_app.deployments.cache",
        "serve_app.deployments.ingress",
        "serve_app.app",
        "serve_app.cli",
    ],
)
def test_only_the_editor_process_imports_torch(module: str) -> None:
    assert imported(f"import {module}").isdisjoint({"torch", "diffusers", "transformers"})


def test_importing_the_package_is_nearly_free() -> None:
    """The budget is 50 ms; what is imported is what costs, so count that instead of time."""
    added = imported("import serve_app") - imported("pass")
    assert added == {"serve_app"}


def test_the_command_line_starts_without_ray() -> None:
    assert "ray" not in imported("import serve_app.cli")
