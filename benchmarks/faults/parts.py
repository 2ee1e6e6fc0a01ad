"""The faults: what happens to a cluster while edits are sent to it."""

from __future__ import annotations

from typing import Any

from benchmarks.faults.doomed import DEADLY
from benchmarks.faults.load import Event, Sent, send
from benchmarks.nodes import Nodes
from benchmarks.processes import kill

AT_ONCE = 6
STEPS = 8

SCALING: dict[str, Any] = {
    "deployments": {
        "editor": {
            "min": 1,
            "max": 2,
            "target_work_s": 1.0,
            "upscale_delay_s": 1,
            "downscale_delay_s": 5,
        }
    }
}
"""Editors that come and go with work of a miniature's size."""


def peace(cluster: Nodes, requests: int) -> Sent:
    """Edits while nothing happens: what the others are compared with."""
    return send(cluster.url, range(requests), at_once=AT_ONCE, steps=STEPS)


def editor_killed(cluster: Nodes, requests: int) -> Sent:
    """An editor is killed in the middle of its edits."""
    return _during(cluster, requests, lambda: kill(cluster.replicas("Editor")[:1]))


def node_removed(cluster: Nodes, requests: int) -> Sent:
    """A node goes, with its editor and whatever else runs there."""
    return _during(cluster, requests, lambda: cluster.remove(cluster.workers[0]))


def deadly_edit(cluster: Nodes, requests: int) -> Sent:
    """One edit among the others kills whatever runs it; needs ``doomed_editors``."""
    odd = {requests // 4: DEADLY}
    return send(cluster.url, range(requests), at_once=AT_ONCE, steps=STEPS, odd=odd)


def updated(cluster: Nodes, requests: int, changes: dict[str, Any]) -> Sent:
    """The service is updated, one replica after the other."""
    return _during(cluster, requests, lambda: cluster.deploy(changes))


def broken_update(cluster: Nodes, requests: int) -> Sent:
    """The service is updated to a version that can't start."""

    def fail() -> None:
        try:
            cluster.deploy({"model": {"checkpoint": "/nowhere"}})
        except RuntimeError:
            return
        raise RuntimeError("the broken version was served")

    return _during(cluster, requests, fail)


def scaled(cluster: Nodes, requests: int, editors: int, at_once: int) -> Sent:
    """The load grows or falls, and with it the number of editors."""
    return send(
        cluster.url,
        range(requests),
        at_once=at_once,
        steps=STEPS,
        event=lambda: cluster.wait_for("Editor", editors),
    )


def _during(cluster: Nodes, requests: int, event: Event) -> Sent:
    return send(
        cluster.url,
        range(requests),
        at_once=AT_ONCE,
        steps=STEPS,
        event=event,
        after=requests // 4,
    )
