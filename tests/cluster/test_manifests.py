"""The manifests are what their schemas allow, and what they name is there."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from serve_app import __version__
from tests.cluster.manifests import (
    CLUSTER,
    Manifest,
    Place,
    called,
    changed,
    every_manifest,
    faults,
    pod_templates,
    read,
    walk,
)

MANIFESTS = every_manifest()
KUSTOMIZATION = read("kustomization.yaml")[0]
BULK = read("bulk/kustomization.yaml")[0]
IMAGES = read("images/kustomization.yaml")[0]
VALIDATED = {**MANIFESTS, "service": KUSTOMIZATION, "bulk": BULK, "images": IMAGES}
README = (CLUSTER / "README.md").read_text(encoding="utf-8")
PODS = {
    template["metadata"]["labels"]["app.kubernetes.io/component"]: template
    for manifest in MANIFESTS.values()
    for template in pod_templates(manifest)
}
CONTAINERS = [
    (name, it)
    for name, pod in PODS.items()
    for it in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
]
FREE = {"labels", "matchLabels", "selector", "requests", "limits", "rayStartParams"}
"""Mappings that have any key."""
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGT]|[KMGT]i)?")
IMAGE = re.compile(r"[a-z0-9./-]+:(?!latest)[0-9][A-Za-z0-9_.-]+(@sha256:[0-9a-f]{64})?")


@pytest.mark.parametrize("name", VALIDATED)
def test_it_is_what_its_schema_allows(name: str) -> None:
    assert faults(VALIDATED[name]) == []


def has_any_key(manifest: Manifest, place: Place) -> bool:
    of_a_group = place[-3:-2] == ("workerGroupSpecs",) and place[-1] == "resources"
    of_pods = place[-1:] == ("selector",) and manifest["kind"] != "Service"
    return of_a_group or (bool(place) and place[-1] in FREE and not of_pods)


@pytest.mark.parametrize("name", VALIDATED)
def test_an_unknown_key_is_refused_wherever_it_is(name: str) -> None:
    manifest = VALIDATED[name]
    mappings = [
        place
        for place, value in walk(manifest)
        if isinstance(value, dict) and not has_any_key(manifest, place)
    ]
    assert mappings
    unnoticed = [
        place for place in mappings if not faults(changed(manifest, (*place, "unknwon"), "x"))
    ]
    assert unnoticed == []


@pytest.mark.parametrize("name", VALIDATED)
def test_another_type_is_refused_wherever_it_is(name: str) -> None:
    manifest = VALIDATED[name]
    claims = {("apiVersion",), ("kind",)}  # what it is validated by
    scalars = [
        place
        for place, value in walk(manifest)
        if not isinstance(value, dict | list) and place not in claims
    ]
    assert scalars
    unnoticed = [
        place for place in scalars if not faults(changed(manifest, place, {"another": ["type"]}))
    ]
    assert unnoticed == []


def test_quantities_are_kubernetes_quantities() -> None:
    """Their schema takes any text, and ``32GB`` is none."""
    quantities = [
        (name, value)
        for name, manifest in MANIFESTS.items()
        for place, value in walk(manifest)
        if place[-2:-1] in {("requests",), ("limits",)} or place[-1:] == ("sizeLimit",)
    ]
    assert quantities
    assert [(name, it) for name, it in quantities if not QUANTITY.fullmatch(str(it))] == []


def test_every_image_is_pinned_and_ours_is_of_this_version() -> None:
    images = {it["image"] for _, it in CONTAINERS}
    assert [image for image in images if not IMAGE.fullmatch(image)] == []
    ours = {image for image in images if image.startswith("qwen-edit-")}
    assert ours == {f"qwen-edit-serve-{kind}:{__version__}" for kind in ("cpu", "gpu")}


def test_every_container_says_what_it_needs() -> None:
    for name, container in CONTAINERS:
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), name
        assert "memory" in resources["limits"], name


@pytest.mark.parametrize("name", PODS)
def test_a_machine_has_room_for_what_a_pod_may_write(name: str) -> None:
    """A limit alone books nothing, and whose disk is full evicts pods without asking."""
    spec = PODS[name]["spec"]
    scratch = [it["emptyDir"] for it in spec.get("volumes", []) if "emptyDir" in it]
    booked = [it["resources"]["requests"].get("ephemeral-storage") for it in spec["containers"]]
    assert [it for it in booked if it] == [it["sizeLimit"] for it in scratch]


SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_AUTH$|_KEY$")


def test_no_secret_stands_in_a_manifest() -> None:
    assert not [it for it in MANIFESTS.values() if it["kind"] == "Secret"]
    secrets = [
        variable
        for _, container in CONTAINERS
        for variable in container.get("env", [])
        if SECRET.search(variable["name"])
    ]
    assert len(secrets) >= 4
    for variable in secrets:
        assert set(variable) == {"name", "valueFrom"}
        assert set(variable["valueFrom"]) == {"secretKeyRef"}
    cluster = MANIFESTS["RayService/qwen-edit"]["spec"]["rayClusterConfig"]
    assert set(cluster["gcsFaultToleranceOptions"]["redisPassword"]) == {"valueFrom"}
    for file in CLUSTER.rglob("*.yaml"):
        assert not re.search(r"://[^/@:\s]*:[^/@\s]+@", file.read_text(encoding="utf-8")), file


def named(kind: str) -> set[str]:
    return {it["metadata"]["name"] for it in MANIFESTS.values() if it["kind"] == kind}


def referred_to(*keys: str) -> set[str]:
    """The names that manifests give at places that end in ``keys``."""
    return {
        value
        for manifest in MANIFESTS.values()
        for place, value in walk(manifest)
        if place[-len(keys) :] == keys
    }


def test_claims_and_configuration_that_pods_name_are_made() -> None:
    assert referred_to("persistentVolumeClaim", "claimName") == named("PersistentVolumeClaim")
    generated = {it["name"] for made in (KUSTOMIZATION, BULK) for it in made["configMapGenerator"]}
    assert referred_to("configMap", "name") == generated


def test_secrets_and_volumes_that_are_made_by_hand_are_explained() -> None:
    secrets = (
        referred_to("secretKeyRef", "name")
        | referred_to("secret", "secretName")
        | referred_to("secret", "name")
    )
    assert {"qwen-edit-redis", "qwen-edit-postgres", "qwen-edit-tls"} <= secrets
    made = set(re.findall(r"create secret (?:generic|tls) ([a-z-]+)", README))
    assert secrets == made
    assert all(f"name: {volume}" in README for volume in referred_to("spec", "volumeName"))


def test_what_containers_mount_is_a_volume_of_their_pod() -> None:
    for name, container in CONTAINERS:
        volumes = {it["name"] for it in PODS[name]["spec"].get("volumes", [])}
        claims = {
            it["metadata"]["name"]
            for manifest in MANIFESTS.values()
            for it in manifest.get("spec", {}).get("volumeClaimTemplates", [])
        }
        mounts = [(it["mountPath"], it.get("subPath")) for it in container.get("volumeMounts", [])]
        assert {it["name"] for it in container.get("volumeMounts", [])} <= volumes | claims, name
        assert len({path for path, _ in mounts}) == len(mounts), name


def matching(selector: dict[str, str]) -> list[str]:
    return [
        component
        for component, pod in PODS.items()
        if selector.items() <= pod["metadata"]["labels"].items()
    ]


def test_services_and_budgets_find_their_pods_and_ports() -> None:
    for manifest in MANIFESTS.values():
        if manifest["kind"] == "Service":
            (component,) = matching(manifest["spec"]["selector"])
            ports = {
                port["name"] for it in PODS[component]["spec"]["containers"] for port in it["ports"]
            }
            assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= ports
        if manifest["kind"] == "PodDisruptionBudget":
            (component,) = matching(manifest["spec"]["selector"]["matchLabels"])
            # Of pods that no Deployment owns Kubernetes can only count those that are there.
            assert isinstance(manifest["spec"]["minAvailable"], int)
            # Or machines could not be emptied while nothing is ready.
            assert manifest["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_only_the_edge_is_public() -> None:
    public = [
        called(it)
        for it in MANIFESTS.values()
        if it["kind"] in {"Service", "Ingress"}
        and it["spec"].get("type", "ClusterIP") != "ClusterIP"
    ]
    assert public == ["Service/qwen-edit-edge"]
    ranges = MANIFESTS[public[0]]["spec"]["loadBalancerSourceRanges"]
    assert ranges
    assert all(ip_network(it).is_private for it in ranges)  # whoever has no key
    for place, value in walk(list(MANIFESTS.values())):
        if place[-1:] == ("headGroupSpec",):
            assert value["serviceType"] == "ClusterIP"
            assert "enableIngress" not in value


def test_the_service_is_applied_together_and_the_bulk_job_by_itself() -> None:
    files = {str(path.relative_to(CLUSTER)) for path in (CLUSTER / "kuberay").glob("*.yaml")}
    assert files == set(KUSTOMIZATION["resources"])
    assert BULK["resources"] == ["rayjob.yaml"]
    assert BULK["namespace"] == KUSTOMIZATION["namespace"]
    assert "kubectl apply -k cluster\n" in README
    assert "kubectl apply -k cluster/bulk\n" in README
    generated = [file for it in KUSTOMIZATION["configMapGenerator"] for file in it["files"]]
    missing = [
        file for file in [*KUSTOMIZATION["resources"], *generated] if not (CLUSTER / file).is_file()
    ]
    assert missing == []


def test_both_take_the_images_from_one_place_each_by_a_name_of_its_own() -> None:
    """Kustomize gives one tag or digest to all images of a name."""
    assert (CLUSTER / KUSTOMIZATION["components"][0]).resolve() == CLUSTER / "images"
    assert (CLUSTER / "bulk" / BULK["components"][0]).resolve() == CLUSTER / "images"
    used = {it["image"].partition(":")[0] for _, it in CONTAINERS}
    ours = {name for name in used if name.startswith("qwen-edit-")}
    assert {it["name"] for it in IMAGES["images"]} == ours


def test_the_edge_has_every_file_that_its_configuration_includes() -> None:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    there = {Path(file).name for file in generated["files"]}
    secret = PODS["edge"]["spec"]["volumes"][0]["projected"]["sources"][1]["secret"]
    there |= {item["path"] for item in secret["items"]}
    text = (CLUSTER / "edge" / "nginx.conf").read_text(encoding="utf-8")
    used = re.findall(r"^\s*(?:include|ssl_certificate|ssl_certificate_key) ([^;]+);", text, re.M)
    assert set(used) | {"nginx.conf"} == there
    upstream = (CLUSTER / "kuberay" / "upstream.conf").read_text(encoding="utf-8")
    # What KubeRay calls the service in front of the proxies of a RayService.
    assert re.findall(r"server ([a-z-]+):8000", upstream) == ["qwen-edit-serve-svc"] * 2
