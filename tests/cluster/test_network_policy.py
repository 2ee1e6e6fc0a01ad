"""Who may connect to what, decided by the policies as Kubernetes decides it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.manifests import Manifest, every_manifest, pod_templates

MANIFESTS = every_manifest()
POLICIES = [it["spec"] for it in MANIFESTS.values() if it["kind"] == "NetworkPolicy"]
PART_OF = {"app.kubernetes.io/part-of": "qwen-edit"}
HERE, OPERATOR, MONITORING, ELSEWHERE = "qwen-edit", "kuberay-system", "monitoring", "default"
Labels = dict[str, str]
Peer = tuple[str, Labels]
"""A namespace, and the labels of a pod in it."""


def component(name: str) -> Labels:
    return {**PART_OF, "app.kubernetes.io/component": name}


def ray_node(name: str, kind: str) -> Labels:
    """What KubeRay adds to the labels of its pods (``labelPod``, controllers/ray/common/pod.go)."""
    return {**component(name), "ray.io/is-ray-node": "yes", "ray.io/node-type": kind}


PEERS: dict[str, Peer] = {
    "head": (HERE, ray_node("head", "head")),
    "bulk head": (HERE, ray_node("bulk-head", "head")),
    # Its job is made of the head's pod, with another type (``buildRedisCleanupJob``).
    "clean-up": (HERE, ray_node("head", "redis-cleanup")),
    "front": (HERE, ray_node("front", "worker")),
    "editor": (HERE, ray_node("editors", "worker")),
    "submitter": (HERE, component("submitter")),
    "edge": (HERE, component("edge")),
    "redis": (HERE, component("redis")),
    "postgres": (HERE, component("postgres")),
    "stranger": (HERE, {"app": "stranger"}),
    "operator": (OPERATOR, {"app.kubernetes.io/name": "kuberay-operator"}),
    "prometheus": (MONITORING, {"app.kubernetes.io/name": "prometheus"}),
    "grafana": (MONITORING, {"app.kubernetes.io/name": "grafana"}),
    "false operator": (ELSEWHERE, {"app.kubernetes.io/name": "kuberay-operator"}),
    "false prometheus": (ELSEWHERE, {"app.kubernetes.io/name": "prometheus"}),
    "false node": (ELSEWHERE, ray_node("front", "worker")),
}
WORLD = "the world"
NODES = {"head", "bulk head", "front", "editor", "clean-up"}


def selects(selector: Manifest, labels: Labels) -> bool:
    asked: Labels = selector.get("matchLabels", {})
    if not asked.items() <= labels.items():
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", "the only one that is used"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def is_peer(rule: Manifest, namespace: str, labels: Labels) -> bool:
    assert "ipBlock" not in rule
    if "namespaceSelector" not in rule:
        in_namespace = namespace == HERE
    else:
        name = {"kubernetes.io/metadata.name": namespace}
        in_namespace = selects(rule["namespaceSelector"], name)
    return in_namespace and selects(rule.get("podSelector", {}), labels)


def admitted(policies: list[Any], pod: str, port: int) -> set[str]:
    """Who reaches a port of a pod: a pod that no policy selects is open to all."""
    _, target = PEERS[pod]
    selecting = [it for it in policies if selects(it["podSelector"], target)]
    if not selecting:
        return {*PEERS, WORLD}
    found = set()
    for rule in [rule for policy in selecting for rule in policy.get("ingress", [])]:
        if "ports" in rule and port not in [it["port"] for it in rule["ports"]]:
            continue
        if "from" not in rule:
            return {*PEERS, WORLD}
        found |= {
            name
            for name, (namespace, labels) in PEERS.items()
            if any(is_peer(peer, namespace, labels) for peer in rule["from"])
        }
    return found


CONTROL_PORTS = {
    6379: "GCS",
    8265: "dashboard, jobs, Serve's REST",
    10001: "Ray Client",
    52365: "the agent",
    10002: "a worker, the first",
    19999: "a worker, the last",
}


@pytest.mark.parametrize("pod", sorted(NODES))
@pytest.mark.parametrize("port", CONTROL_PORTS)
def test_rays_control_ports_are_for_its_nodes_and_whoever_submits(pod: str, port: int) -> None:
    submitting = {"operator", "submitter"} if port == 8265 and "head" in pod else set()
    assert admitted(POLICIES, pod, port) == NODES | submitting


@pytest.mark.parametrize("pod", sorted(NODES))
def test_metrics_are_for_prometheus_and_serve_for_the_edge(pod: str) -> None:
    assert admitted(POLICIES, pod, 8080) == NODES | {"prometheus"}
    assert admitted(POLICIES, pod, 8000) == NODES | {"edge"}


def test_each_database_is_for_those_who_keep_something_in_it() -> None:
    assert admitted(POLICIES, "redis", 6379) == {"head", "bulk head", "clean-up"}
    assert admitted(POLICIES, "postgres", 5432) == {"front"}


def test_the_world_comes_to_the_edge_and_no_further() -> None:
    ports = [80, 443, 5432, 6379, 8000, 8080, 8265, 8443, 10001, 52365]
    open_to_it = {
        (pod, port)
        for pod, (namespace, _) in PEERS.items()
        for port in ports
        if namespace == HERE and WORLD in admitted(POLICIES, pod, port)
    }
    assert open_to_it == {("edge", 8080), ("edge", 8443)}


def test_pods_are_labelled_as_the_policies_expect() -> None:
    components = {
        template["metadata"]["labels"]["app.kubernetes.io/component"]
        for manifest in MANIFESTS.values()
        for template in pod_templates(manifest)
    }
    asked = {labels.get("app.kubernetes.io/component") for _, labels in PEERS.values()}
    assert components - {"bulk-editors"} == asked - {None}
    assert all(
        PART_OF.items() <= template["metadata"]["labels"].items()
        for manifest in MANIFESTS.values()
        for template in pod_templates(manifest)
    )


def test_without_the_closing_policy_other_pods_would_be_open() -> None:
    """What is tested above can be told from its contrary."""
    opened = [it for it in POLICIES if it["podSelector"]]
    assert len(opened) == len(POLICIES) - 1
    assert admitted(opened, "submitter", 1234) == {*PEERS, WORLD}
    assert admitted(POLICIES, "submitter", 1234) == set()
    wider = [{**it, "ingress": [{}]} for it in POLICIES if "ingress" in it]
    assert admitted(wider, "head", 6379) == {*PEERS, WORLD}
