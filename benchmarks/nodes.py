"""Several Ray nodes on this machine, serving the graph of configs/cluster.yaml with the miniature.

Every node is a raylet of its own, as on a cluster, with its own shared memory and its own replicas;
only the machine below is one. What cannot be here is replaced: GPUs by a custom resource, of
which none is to spare for updates, the checkpoint by the miniature, Postgres by SQLite. Ingresses
stay with the one proxy on the first node, since no edge proxy would go to another; all else may be
on any.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from benchmarks.processes import replicas_below
from benchmarks.serving import HOST, free_port
from serve_app.serve_config import read

CONFIG = Path(__file__).parent.parent / "configs" / "cluster.yaml"
APPLICATION = "qwen-edit"
EDITORS = "editors"
"""The custom resource that stands in for GPUs: a node has one for each editor."""

DOOR = "door"
"""What only the first node has: the ingresses, since the proxy that clients know is there, too."""

RAY_SETTINGS = {
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 3,
    "health_check_timeout_ms": 5000,
    "timeout_ms_task_wait_for_death_info": 1000,
}
"""When a node counts as lost, as in cluster/Dockerfile, and how long a caller whose call broke off
waits to hear that the other end died, as in cluster/kuberay."""

_STARTED_WITHIN_S = 180.0

# What a miniature on a CPU has in place of a checkpoint on a GPU, with shares of two cores.
_MINIATURE: dict[str, Any] = {
    "model": {
        "name": "qwen-image-edit-miniature",
        "checkpoint": "miniature",
        "device": "cpu",
        "dtype": "float32",
        "vae_area": 4096,
        "condition_area": 784,
    },
    "engine": {
        "threads": 1,
        "max_batch_size": 8,
        "acceleration": {"compile": False, "warm_up_sizes": ["64x64"]},
    },
    "planning": {"num_inference_steps": 8, "true_cfg_scale": 1.0},
    "quality": {"threads": 1},
    "cache": {"memory_bytes": 2**26},
    "jobs": {"database": None},
    "deployments": {
        "ingress": {
            "num_cpus": 0.1,
            "min": 2,
            "max": 2,
            "most_per_node": None,
            "resources": {DOOR: 0.01},
        },
        "router": {"num_cpus": 0.1},
        "cache": {"num_cpus": 0.1},
        "editor": {
            "num_cpus": 0.3,
            "num_gpus": 0,
            "max": 2,
            "resources": {EDITORS: 1.0},
            "surge_percent": 0,
        },
        "validator": {"num_cpus": 0.1, "max": 2},
        "jobs": {"num_cpus": 0.1},
        "monitor": {"num_cpus": 0.1},
        "graceful_shutdown_s": 60,
    },
}


def arguments(root: Path, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The ``args`` of configs/cluster.yaml for this machine, storing under ``root``."""
    settings: dict[str, Any] = read(CONFIG)["applications"][0]["args"]
    storage = {"storage": {"root": str(root / "results"), "local_root": str(root / "local")}}
    return _merged(_merged(_merged(settings, _MINIATURE), storage), changes or {})


class Nodes:
    """A running cluster of one front node and ``workers``, each with room for one editor."""

    def __init__(self, root: Path, workers: int) -> None:
        from ray.cluster_utils import Cluster

        self.root = root
        self.port = free_port()
        self.changes: Mapping[str, Any] | None = None
        """What is served differs by these from the usual; ``None`` before anything is."""
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "resources": {"front": 1, DOOR: 1},
                "_system_config": RAY_SETTINGS,
                **_small(),
            },
        )
        self.workers: list[Any] = []
        for _ in range(workers):
            self.add_worker()

    @property
    def url(self) -> str:
        """Where the proxy of the first node listens."""
        return f"http://{HOST}:{self.port}"

    def add_worker(self) -> None:
        """Start one more node."""
        resources = {"front": 1, EDITORS: 1}
        self.workers.append(self._cluster.add_node(num_cpus=2, resources=resources, **_small()))

    def remove(self, worker: Any) -> None:
        """Let a node go at once, with all that runs on it."""
        self._cluster.remove_node(worker, allow_graceful=False)
        self.workers.remove(worker)

    def connect(self) -> None:
        """Let this process talk to the cluster, and start the proxy."""
        import ray
        from ray import serve

        ray.init(address=self._cluster.address, log_to_driver=False)
        # One proxy: here all nodes share their ports, on a cluster the edge proxy goes to another.
        http_options = {"host": HOST, "port": self.port, "request_timeout_s": 300}
        serve.start(proxy_location="HeadOnly", http_options=http_options)

    def deploy(self, changes: Mapping[str, Any] | None = None) -> None:
        """Serve the graph, or change what is served; returns when all of it is there.

        Raises ``RuntimeError`` if the new version can't be started.
        """
        from ray import serve

        from serve_app.app import build

        application = build(arguments(self.root, changes))
        self.changes = None  # until it is known which version is there
        serve.run(application, name=APPLICATION, route_prefix="/")
        self.changes = changes or {}

    def replicas(self, deployment: str, worker: Any = None) -> list[int]:
        """The processes of a deployment's replicas, on all nodes or on one ``worker``."""
        parent = None if worker is None else _raylet(worker)
        return replicas_below(APPLICATION, deployment, parent)

    def wait_for(self, deployment: str, number: int) -> None:
        """Return once the deployment has that many running replicas; raises ``TimeoutError``."""
        from ray import serve

        deadline = time.monotonic() + _STARTED_WITHIN_S
        while True:
            states = serve.status().applications[APPLICATION].deployments[deployment].replica_states
            # Serve looks after replicas every ten seconds; until then dead ones count as running.
            alive = len(self.replicas(deployment)) == number
            if alive and states.get("RUNNING", 0) == number and set(states) <= {"RUNNING"}:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{deployment} has {dict(states)}, not {number} running")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the service and all nodes."""
        import ray
        from ray import serve

        if ray.is_initialized():
            serve.shutdown()
            ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def nodes(workers: int = 2, root: Path | None = None) -> Iterator[Nodes]:
    """A cluster of ``workers`` and a front node that serves the graph; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="qen-", dir="/tmp") as folder:
        running = Nodes(root or Path(folder), workers)
        try:
            running.connect()
            running.deploy()
            yield running
        finally:
            running.stop()


def _small() -> dict[str, Any]:
    return {"object_store_memory": 256 * 2**20, "include_dashboard": False}


def _raylet(worker: Any) -> int:
    pid: int = worker.all_processes["raylet"][0].process.pid
    return pid


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, which reach into its sections."""
    merged = deepcopy(dict(base))
    for key, value in changes.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping) and key != "resources":
            merged[key] = _merged(before, value)
        else:
            merged[key] = deepcopy(value)
    return merged
