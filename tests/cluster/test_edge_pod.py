"""The edge's pod: it starts when it can, has room for what comes in, and lives through a flood."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.cluster.manifests import CLUSTER, every_manifest

POD = every_manifest()["Deployment/qwen-edit-edge"]["spec"]["template"]["spec"]
SYSCTLS = POD["securityContext"]["sysctls"]
(NGINX,) = POD["containers"]
CONFIGURATION = (CLUSTER / "edge" / "nginx.conf").read_text(encoding="utf-8")
UPSTREAM = (CLUSTER / "kuberay" / "upstream.conf").read_text(encoding="utf-8")


def set_to(directive: str) -> int:
    """The number that ends a directive, which may have a unit."""
    (value,) = re.findall(rf"^ *{directive} (\d+)[smr]?;", CONFIGURATION, re.MULTILINE)
    return int(value)


def test_it_waits_until_its_upstream_has_an_address(tmp_path: Path) -> None:
    """Or nginx would end at once: "host not found in upstream"."""
    (waiting,) = POD["initContainers"]
    programs = {
        "getent": 'echo "$*" >>asked; [ "$(wc -l <asked)" -ge 3 ]',
        "sleep": "",
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(waiting["command"], cwd=tmp_path, env=environment, check=True, timeout=30)
    asked = (tmp_path / "asked").read_text().splitlines()
    (name,) = set(re.findall(r"server ([a-z-]+):8000", UPSTREAM))
    assert asked == [f"hosts {name}"] * 3
    assert waiting["image"] == NGINX["image"]


def test_its_disk_has_room_for_all_that_it_lets_in_at_a_time() -> None:
    """Kubernetes evicts a pod whose volume grows beyond its limit."""
    of_a_request = set_to("client_max_body_size") + set_to("proxy_max_temp_file_size")
    (buffers,) = (it for it in POD["volumes"] if it["name"] == "buffers")
    room_mib = int(buffers["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 1024
    assert set_to("limit_conn connections") * of_a_request < room_mib
    (prefix,) = (it["mountPath"] for it in NGINX["volumeMounts"] if it["name"] == "buffers")
    assert f"{prefix}/" in NGINX["command"]


def test_it_misses_a_machine_in_time_for_the_second_try() -> None:
    """With the kernel's own patience, two hours, a request would end as one that took too long."""
    keepalive = {it["name"].rpartition("_")[2]: int(it["value"]) for it in SYSCTLS}
    silent_s = keepalive["time"] + keepalive["intvl"] * keepalive["probes"]
    assert silent_s <= 60 < set_to("proxy_next_upstream_timeout")


def test_it_is_not_killed_while_half_open_connections_take_all_places() -> None:
    probe = NGINX["livenessProbe"]
    patience_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert patience_s >= 3 * set_to("client_header_timeout")
