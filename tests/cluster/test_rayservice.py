"""The RayService serves configs/cluster.yaml, and its groups of nodes have room for it."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from ray._private import ray_constants
from ray.dashboard.modules.reporter import reporter_agent
from ray.scripts.scripts import start

from benchmarks.nodes import RAY_SETTINGS
from serve_app.config import Replicas, ServiceConfig
from serve_app.errors import ConfigurationError
from serve_app.serve_config import check
from tests.cluster.manifests import CLUSTER, Manifest, every_manifest, node_groups, walk
from tests.conftest import ROOT

MANIFESTS = every_manifest()
SPEC = MANIFESTS["RayService/qwen-edit"]["spec"]
CONFIGURATION = ROOT / "configs" / "cluster.yaml"
DEATHS = "timeout_ms_task_wait_for_death_info"
DRAIN = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
SERVED = [
    value for place, value in walk(list(MANIFESTS.values())) if place[-1:] == ("serveConfigV2",)
]


def served(tmp_path: Path, text: str) -> ServiceConfig:
    file = tmp_path / "serve.yaml"
    file.write_text(text, encoding="utf-8")
    (config,) = check(file)
    return config


def test_it_serves_the_configuration_for_clusters() -> None:
    """``cluster/serve-config.sh`` copies it."""
    assert [CONFIGURATION.read_text(encoding="utf-8")] == SERVED


def test_the_script_copies_it_and_changes_nothing_else(tmp_path: Path) -> None:
    for name in ("cluster/serve-config.sh", "cluster/kuberay/rayservice.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    manifest = tmp_path / "cluster" / "kuberay" / "rayservice.yaml"
    before = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    (tmp_path / "configs").mkdir()
    (tmp_path / "cluster" / "bulk").mkdir()
    text = "# Another one.\n\napplications:\n  - name: other\n"
    (tmp_path / "configs" / "cluster.yaml").write_text(text, encoding="utf-8")
    for _ in ("once", "and again"):
        subprocess.run([tmp_path / "cluster" / "serve-config.sh"], check=True)
        after = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        assert after == {**before, "spec": {**before["spec"], "serveConfigV2": text}}
        assert (tmp_path / "cluster" / "bulk" / "cluster.yaml").read_text("utf-8") == text


def test_the_script_wants_to_know_where_to(tmp_path: Path) -> None:
    script = tmp_path / "cluster" / "serve-config.sh"
    manifest = tmp_path / "cluster" / "kuberay" / "rayservice.yaml"
    manifest.parent.mkdir(parents=True)
    shutil.copy(CLUSTER / "serve-config.sh", script)
    manifest.write_text("spec:\n  serveConfigV2: |-\n    applications: []\n", encoding="utf-8")
    before = manifest.read_text(encoding="utf-8")
    done = subprocess.run([script], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"serveConfigV2" in done.stderr
    assert manifest.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("text", SERVED)
def test_serve_and_we_know_every_key_of_it(text: str, tmp_path: Path) -> None:
    assert served(tmp_path, text) == check(CONFIGURATION)[0]


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (("http_option",), ConfigurationError),
        (("http_options", "prt"), ConfigurationError),
        (("applications", 0, "import_pth"), ConfigurationError),
        (("applications", 0, "args", "modle"), ValidationError),
        (("applications", 0, "args", "deployments", "editor", "mx"), ValidationError),
    ],
)
def test_keys_that_nobody_knows_are_refused(
    place: tuple[str | int, ...], error: type[Exception], tmp_path: Path
) -> None:
    configuration = yaml.safe_load(SERVED[0])
    inner = configuration
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = 1
    with pytest.raises(error, match=str(place[-1])):
        served(tmp_path, yaml.safe_dump(configuration))


@pytest.fixture(scope="module")
def config() -> ServiceConfig:
    (config,) = check(CONFIGURATION)
    return config


def test_the_head_has_room_for_nothing_and_workers_for_what_belongs_to_them() -> None:
    nodes = node_groups(SPEC["rayClusterConfig"])
    resources = {name: node["resources"] for name, node in nodes.items()}
    assert resources["headgroup"]["CPU"] == 0
    assert resources["front"]["front"] == 1
    assert "GPU" not in resources["front"]
    assert resources["editors"]["GPU"] == 1
    assert "front" not in resources["editors"]


def at_most(sizes: Replicas) -> int:
    """The replicas of a deployment in the middle of an update."""
    return sizes.max + math.ceil(sizes.max * sizes.surge_percent / 100)


def test_the_smallest_graph_fits_and_the_largest_in_the_middle_of_an_update(
    config: ServiceConfig,
) -> None:
    nodes = node_groups(SPEC["rayClusterConfig"])
    deployments = dict(config.deployments)
    del deployments["graceful_shutdown_s"]
    editor, node = deployments.pop("editor"), nodes["editors"]
    assert editor.min <= node["min_workers"]
    assert at_most(editor) <= node["max_workers"]
    assert editor.num_gpus <= node["resources"]["GPU"]
    assert editor.num_cpus <= node["resources"]["CPU"]
    front, node = deployments.values(), nodes["front"]
    assert {tuple(sizes.resources) for sizes in front} == {("front",)}
    cpus = node["resources"]["CPU"]
    assert sum(it.min * it.num_cpus for it in front) <= node["min_workers"] * cpus
    assert sum(at_most(it) * it.num_cpus for it in front) <= node["max_workers"] * cpus
    for sizes in (it for it in front if it.most_per_node):
        assert sizes.min <= sizes.most_per_node * node["min_workers"]
        assert at_most(sizes) <= sizes.most_per_node * node["max_workers"]


@pytest.mark.parametrize("part", ["ingress", "router", "cache"])
def test_a_front_node_that_goes_leaves_some_of_what_there_must_be(
    part: str, config: ServiceConfig
) -> None:
    sizes: Replicas = getattr(config.deployments, part)
    assert sizes.most_per_node
    assert sizes.min > sizes.most_per_node


def test_ray_knows_how_long_a_node_drains() -> None:
    assert DRAIN in vars(ray_constants)


def test_no_edit_is_cut_off_by_a_rollout_an_eviction_or_the_edge(config: ServiceConfig) -> None:
    longest_s = config.limits.request_s
    assert SPEC["rayClusterDeletionDelaySeconds"] > longest_s
    edge = MANIFESTS["Deployment/qwen-edit-edge"]["spec"]["template"]["spec"]
    leaving_s = edge["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert edge["terminationGracePeriodSeconds"] - leaving_s > longest_s
    for group in SPEC["rayClusterConfig"]["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        (drain,) = (it for it in pod["containers"][0]["env"] if it["name"] == DRAIN)
        assert pod["terminationGracePeriodSeconds"] > float(drain["value"]) > longest_s
    nginx = (CLUSTER / "edge" / "nginx.conf").read_text(encoding="utf-8")
    (patience_s,) = re.findall(r"proxy_read_timeout (\d+)s;", nginx)
    serve = yaml.safe_load(SERVED[0])["http_options"]
    assert float(patience_s) > serve["request_timeout_s"] > longest_s


def environment(template: Manifest) -> dict[str, str]:
    (container,) = template["spec"]["containers"]
    return {it["name"]: it.get("value", "") for it in container["env"]}


def test_nodes_believe_the_edge_that_it_was_https() -> None:
    """Uvicorn reads it, in the proxies, which run where replicas do; nobody else reaches them."""
    for group in SPEC["rayClusterConfig"]["workerGroupSpecs"]:
        assert environment(group["template"])["FORWARDED_ALLOW_IPS"] == "*"
    nginx = (CLUSTER / "edge" / "nginx.conf").read_text(encoding="utf-8")
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in nginx
    assert "proxy_set_header X-Forwarded-Proto https;" in nginx


def test_nodes_tell_how_full_their_disk_is() -> None:
    """In pods Ray says 0 unless it is told to look."""
    name = "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE"
    assert name in Path(reporter_agent.__file__).read_text(encoding="utf-8")
    cluster = SPEC["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert environment(group["template"])[name] == "1"


def test_a_death_is_told_from_a_lost_connection() -> None:
    """KubeRay sets 0 where nothing is set, and then no edit that kills editors is found out."""
    cluster = SPEC["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        told_s = environment(group["template"])[f"RAY_{DEATHS}"]
        assert told_s == str(RAY_SETTINGS[DEATHS])


def test_editors_are_spread_over_machines() -> None:
    for group in SPEC["rayClusterConfig"]["workerGroupSpecs"]:
        (spread,) = group["template"]["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"] == group["template"]["metadata"]["labels"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"


def test_two_clusters_of_a_rollout_keep_apart_in_redis() -> None:
    """In a namespace that the manifest names, a new head would take up the old one's state."""
    recovery = SPEC["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert "externalStorageNamespace" not in recovery
    name, _, port = recovery["redisAddress"].removeprefix("redis://").partition(":")
    assert MANIFESTS[f"Service/{name}"]["spec"]["ports"][0]["port"] == int(port)


def test_nodes_keep_what_the_configuration_keeps_where_they_have_room(
    config: ServiceConfig,
) -> None:
    (front,) = (
        it for it in SPEC["rayClusterConfig"]["workerGroupSpecs"] if it["groupName"] == "front"
    )
    mounts = front["template"]["spec"]["containers"][0]["volumeMounts"]
    by_path = {it["mountPath"]: it for it in mounts}
    assert by_path[str(config.storage.local_root)]["name"] == "scratch"
    assert by_path[config.storage.root]["name"] == "results"
    assert by_path["/models"]["readOnly"]
    assert config.model.checkpoint.startswith("/models/")
    (scratch,) = (it for it in front["template"]["spec"]["volumes"] if it["name"] == "scratch")
    room = int(scratch["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
    assert config.deployments.cache.max * config.cache.disk_bytes < room


def test_ray_knows_the_parameters_that_nodes_are_started_with() -> None:
    known = {option.removeprefix("--") for it in start.params for option in it.opts}
    given = {
        name
        for place, value in walk(list(MANIFESTS.values()))
        if place[-1:] == ("rayStartParams",)
        for name in value
    }
    assert given
    assert given <= known


def test_clusters_are_of_the_ray_that_is_in_the_image() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = [
        value for place, value in walk(list(MANIFESTS.values())) if place[-1:] == ("rayVersion",)
    ]
    assert len(versions) == 2
    assert {f"ray=={version}" for version in versions} <= set(constraints)
    assert all(
        value == {"mode": "token"}
        for place, value in walk(list(MANIFESTS.values()))
        if place[-1:] == ("authOptions",)
    )
