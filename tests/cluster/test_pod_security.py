"""Pods may do no more than they must."""

from __future__ import annotations

import pytest

from tests.cluster.manifests import Manifest, changed, every_manifest, pod_templates

MANIFESTS = every_manifest()
PODS = {
    template["metadata"]["labels"]["app.kubernetes.io/component"]: template
    for manifest in MANIFESTS.values()
    for template in pod_templates(manifest)
}

SAFE_SYSCTLS = {f"net.ipv4.tcp_keepalive_{name}" for name in ("time", "intvl", "probes")}
"""Of those that the profile allows (Kubernetes 1.29 and newer) the ones that are set here."""


def security_faults(pod: Manifest) -> list[str]:
    """What Kubernetes' profile ``restricted`` has against a pod, and a root that can be written."""
    spec, found = pod["spec"], []
    if not spec["securityContext"].get("runAsNonRoot") or not spec["securityContext"]["runAsUser"]:
        found.append("root")
    if spec["securityContext"].get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("seccomp")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation", True) or context.get("privileged"):
            found.append("privileges")
        if context.get("capabilities") != {"drop": ["ALL"]}:
            found.append("capabilities")
        if not context.get("readOnlyRootFilesystem"):
            found.append("writable root")
    kinds = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    if any(set(volume) - kinds for volume in spec.get("volumes", [])):
        found.append("volumes")
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        found.append("host")
    if {it["name"] for it in spec["securityContext"].get("sysctls", [])} - SAFE_SYSCTLS:
        found.append("sysctls")
    return found


@pytest.mark.parametrize("component", PODS)
def test_they_are_restricted(component: str) -> None:
    pod = PODS[component]
    assert security_faults(pod) == []
    # The head's autoscaler asks Kubernetes for nodes; nobody else has anything to ask it.
    asks_kubernetes = pod["spec"].get("automountServiceAccountToken", True)
    assert asks_kubernetes == (component == "head")
    laxer = changed(pod, ("spec", "containers", 0, "securityContext"), {})
    assert security_faults(laxer) == ["privileges", "capabilities", "writable root"]


def test_the_autoscaler_is_as_restricted_as_the_head() -> None:
    cluster = MANIFESTS["RayService/qwen-edit"]["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert cluster["autoscalerOptions"]["securityContext"] == head["securityContext"]


def test_kubernetes_holds_them_to_it() -> None:
    (namespace,) = (it for it in MANIFESTS.values() if it["kind"] == "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
