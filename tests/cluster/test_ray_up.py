"""The cluster on plain machines, as Ray's own launcher reads it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ray.autoscaler
from jsonschema import Draft7Validator
from ray.autoscaler._private.util import prepare_config, validate_config

from serve_app import __version__
from serve_app.serve_config import service_settings
from tests.cluster.manifests import changed, read
from tests.conftest import ROOT

CLUSTER: dict[str, Any] = read("ray-up.yaml")[0]
PROVIDER = {"type", "head_ip", "worker_ips"}
"""What Ray reads of a provider ``local`` (``autoscaler/_private/local``); its schema takes more."""
METRICS = "--metrics-export-port=8090"
"""Not 8080, where an edge on the same machine sends plain HTTP to HTTPS."""
SCHEMA = Draft7Validator(
    json.loads(Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text())
)


def test_rays_launcher_takes_it() -> None:
    assert list(SCHEMA.iter_errors(CLUSTER)) == []
    assert set(CLUSTER["provider"]) == PROVIDER
    prepared = prepare_config(CLUSTER)
    validate_config(prepared)
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(CLUSTER["provider"]["worker_ips"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("head_start_commands",), []),
        (("auth", "ssh_usr"), "x"),
        (("docker", "imge"), "x"),
        (("docker", "run_options"), "--net host"),
        (("provider", "worker_ips"), "192.0.2.11"),
        (("worker_start_ray_commands",), ["ray stop", 1]),
        (("cluster_name",), None),
    ],
)
def test_typing_errors_are_refused(place: tuple[str, ...], value: Any) -> None:
    assert not SCHEMA.is_valid(changed(CLUSTER, place, value))


def test_containers_have_a_token_and_the_folders_of_the_configuration() -> None:
    options = [word for option in CLUSTER["docker"]["run_options"] for word in shlex.split(option)]
    assert {"RAY_AUTH_MODE=token", "FORWARDED_ALLOW_IPS=*"} <= set(options)
    assert "~/.ray" in CLUSTER["file_mounts"]
    mounted = {word.split(":")[1] for word in options if word.startswith("/") and ":" in word}
    config = service_settings(ROOT / "configs" / "cluster.yaml")
    folders = {"/models", config.storage.root, str(config.storage.local_root)}
    assert mounted == folders
    assert CLUSTER["docker"]["image"] == f"qwen-edit-serve-gpu:{__version__}"


def arguments_of_ray(commands: list[str], folder: Path) -> list[list[str]]:
    """What ``ray`` is called with when a shell runs the commands on a machine without a GPU."""
    ray = folder / "ray"
    ray.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\nprintf "\\0"\n')
    ray.chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(folder),
        "RAY_HEAD_IP": "192.0.2.10",
    }
    done = subprocess.run(
        ["bash", "-ec", "\n".join(commands)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [call.splitlines() for call in done.stdout.split("\0")[:-1]]


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="it has a GPU")
def test_machines_without_a_gpu_are_front_nodes(tmp_path: Path) -> None:
    stop, started = arguments_of_ray(CLUSTER["worker_start_ray_commands"], tmp_path)
    assert stop == ["stop"]
    assert started[:2] == ["start", "--address=192.0.2.10:6379"]
    assert METRICS in started
    option, _, resources = started[-1].partition("=")
    assert option == "--resources"
    assert json.loads(resources) == {"front": 1}


def test_the_head_runs_nothing_and_shows_its_dashboard_to_nobody(tmp_path: Path) -> None:
    _, started = arguments_of_ray(CLUSTER["head_start_ray_commands"], tmp_path)
    assert {"--head", "--num-cpus=0", "--dashboard-host=127.0.0.1", METRICS} <= set(started)
    # The shell leaves this `~` as it is, as in Ray's own defaults; Ray expands it.
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in started


def test_prometheus_finds_every_machine() -> None:
    jobs = read("monitoring/prometheus.yaml")[0]["scrape_configs"]
    (static,) = (it for job in jobs if job["job_name"] == "ray" for it in job["static_configs"])
    provider, (_, _, port) = CLUSTER["provider"], METRICS.partition("=")
    machines = [provider["head_ip"], *provider["worker_ips"]]
    assert static["targets"] == [f"{machine}:{port}" for machine in machines]
