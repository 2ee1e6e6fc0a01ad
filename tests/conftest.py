"""What tests of all layers share: photos, a local configuration, one Ray cluster."""

from __future__ import annotations

import gc
import io
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, settings
from PIL import Image
from skimage import data as photos
from xdist.scheduler import LoadScopeScheduling

from benchmarks.processes import replicas_below
from serve_app.images.pixels import RGB

ROOT = Path(__file__).parent.parent
# Two processes of tests share two cores: more threads would wait for each other, spinning.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Set where pytest-xdist starts its processes, and consoles would keep to it.
for terminal_size in ("COLUMNS", "LINES"):
    os.environ.pop(terminal_size, None)
# Servers of tests are on this machine, whatever proxy there is.
for no_proxy in ("NO_PROXY", "no_proxy"):
    os.environ[no_proxy] = "127.0.0.1,localhost"
# A busy machine is no reason to send a call to another replica than the one it belongs to.
os.environ.setdefault("RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S", "1")
os.environ.setdefault("QWEN_EDIT_WEBHOOK_SECRET", "a secret of the tests")
# What is started in the background ignores it, and programs that are under test would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes depends on the machine and what else it does.
settings.register_profile(
    "untimed", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
REQUEST_S = 60.0
"""Longest edit of the test service: above every edit that should finish, busy machine or not."""
NEEDS_CLUSTER = ("tests/integration/", "tests/test_readme.py")
HAS_ITS_OWN = ("tests/integration/test_bulk_process.py", "tests/integration/test_demo.py")
"""Tests of whole commands, which start a Ray themselves."""
PHOTOS = ("astronaut", "coffee", "chelsea")


class OneCluster(LoadScopeScheduling):  # type: ignore[misc]
    """Modules are spread over the processes; what needs the Ray cluster stays in one of them."""

    def _split_scope(self, nodeid: str) -> str:
        shares = nodeid.startswith(NEEDS_CLUSTER) and not nodeid.startswith(HAS_ITS_OWN)
        return "cluster" if shares else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneCluster:
    return OneCluster(config, log)


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


def photo(name: str, size: tuple[int, int] | None = None) -> RGB:
    """A photo of scikit-image, (height, width, 3) uint8, resized to (width, height)."""
    pixels: RGB = getattr(photos, name)()
    if size is not None:
        pixels = _array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    return pixels


def encoded(pixels: RGB, image_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format)
    return buffer.getvalue()


def decoded(data: bytes) -> RGB:
    return _array(Image.open(io.BytesIO(data)).convert("RGB"))


def _array(image: Image.Image) -> RGB:
    return np.asarray(image)


def local_arguments(root: Path) -> dict[str, Any]:
    """The ``args`` of configs/local.yaml, storing under ``root``."""
    settings = yaml.safe_load((ROOT / "configs" / "local.yaml").read_text())
    arguments: dict[str, Any] = settings["applications"][0]["args"]
    arguments["storage"] = {"root": str(root)}
    # Edits long enough to be joined and left while they run.
    arguments["limits"] = {"max_steps": 20_000, "request_s": REQUEST_S}
    # One editor: a second one starting in the middle of a test would blur what is seen.
    arguments["deployments"]["editor"]["max"] = 1
    return arguments


@dataclass(frozen=True)
class Service:
    """The whole graph, running on this session's Ray cluster."""

    url: str
    root: Path
    metrics_url: str
    logs: Path

    def handle(self, deployment: str) -> Any:
        from ray import serve

        return serve.get_deployment_handle(deployment, app_name="qwen-edit")

    def pid(self, deployment: str) -> int | None:
        """The process of a deployment's only replica; ``None`` while there is none."""
        return next(iter(replicas_below("qwen-edit", deployment)), None)

    async def figures(self, deployment: str) -> dict[str, int]:
        """What the editor or the cache counts."""
        counted: dict[str, int] = await self.handle(deployment).load_figures.remote()
        return counted


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Start Ray and the graph of configs/local.yaml, once for all tests."""
    import ray
    from ray import serve

    from benchmarks.serving import free_port
    from serve_app.app import build

    root = tmp_path_factory.mktemp("service")
    port, metrics_port = free_port(), free_port()
    ray.init(
        address="local",  # whatever else runs on this machine
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _metrics_export_port=metrics_port,
        _system_config={"metrics_report_interval_ms": 1000},
    )
    serve.start(
        http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 300},
        logging_config={"encoding": "JSON"},
    )
    serve.run(
        build(local_arguments(root)),
        name="qwen-edit",
        route_prefix="/",
        logging_config={"encoding": "JSON"},
    )
    yield Service(
        f"http://127.0.0.1:{port}",
        root,
        f"http://127.0.0.1:{metrics_port}/metrics",
        Path(ray._private.worker._global_node.get_logs_dir_path()),
    )
    serve.shutdown()
    ray.shutdown()
