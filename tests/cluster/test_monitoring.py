"""Alerts fire when they should, by Prometheus' own tool, and are about metrics that exist."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.monitoring.metrics import METRICS
from tests.cluster.expressions import MONITORING, alerts, expressions, metrics_of, panels

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="Debian's package prometheus is not installed"
)

HOURS = 2
Series = dict[str, str]
"""Values by series, in promtool's notation; a sample every minute."""

_EDITOR_A = "{application='qwen-edit',deployment='Editor',replica='a'}"
_ROUTER_R = "{application='qwen-edit',deployment='Router',replica='r'}"

HEALTHY: Series = {
    "ray_qwen_edit_editor_warm{replica='a'}": "1x120",
    "ray_qwen_edit_editor_warm{replica='b'}": "1x120",
    "ray_qwen_edit_editor_pending{replica='a'}": "3x120",
    "ray_qwen_edit_editor_backlog_seconds{replica='a'}": "20x120",
    "ray_qwen_edit_steps_total{replica='a'}": "0+600x120",
    "ray_qwen_edit_batch_occupancy_ratio_sum{replica='a'}": "0+500x120",
    "ray_qwen_edit_batch_occupancy_ratio_count{replica='a'}": "0+600x120",
    "ray_qwen_edit_device_memory_bytes{replica='a',device='cuda',kind='allocated'}": "60x120",
    "ray_qwen_edit_device_memory_bytes{replica='a',device='cuda',kind='total'}": "80x120",
    "ray_qwen_edit_edits_total{verdict='pass',cache='miss'}": "0+100x120",
    "ray_qwen_edit_edits_total{verdict='fail',cache='miss'}": "0+10x120",
    "ray_qwen_edit_edits_total{verdict='fail',cache='hit'}": "0+900x120",
    "ray_qwen_edit_edits_failed_total{code='invalid_value'}": "0+50x120",
    "ray_qwen_edit_edits_failed_total{code='overloaded'}": "0+1x120",
    "ray_qwen_edit_http_requests_in_progress{deployment='Ingress'}": "3x120",
    "ray_qwen_edit_http_requests_in_progress{deployment='Jobs'}": "0x120",
    "ray_qwen_edit_http_requests_total{status_class='2xx'}": "0+100x120",
    "ray_qwen_edit_http_requests_total{status_class='5xx'}": "0+1x120",
    "ray_qwen_edit_stage_seconds_bucket{stage='queue',le='60'}": "0+100x120",
    "ray_qwen_edit_stage_seconds_bucket{stage='queue',le='300'}": "0+100x120",
    "ray_qwen_edit_stage_seconds_bucket{stage='queue',le='+Inf'}": "0+100x120",
    "ray_qwen_edit_jobs{state='queued'}": "4x120",
    "ray_qwen_edit_jobs{state='running'}": "2x120",
    "ray_qwen_edit_flights": "0x120",
    f"ray_serve_deployment_replica_healthy{_EDITOR_A}": "1x120",
    f"ray_serve_deployment_replica_healthy{_ROUTER_R}": "1x120",
    f"ray_serve_deployment_replica_starts_total{_EDITOR_A}": "1x120",
    "up{job='kuberay',instance='n'}": "1x120",
    "ray_node_disk_utilization_percentage{instance='n'}": "50x120",
    "ray_node_mem_used{instance='n',ip='1'}": "50x120",
    "ray_node_mem_total{instance='n',ip='1'}": "100x120",
}

GONE = "_x120"
"""A series without a sample."""

_STARTED = (
    "ray_serve_deployment_replica_starts_total{application='qwen-edit',deployment='Editor',replica="
)
TROUBLE: dict[str, Series] = {
    "NoWarmEditor": {
        "ray_qwen_edit_editor_warm{replica='a'}": GONE,
        "ray_qwen_edit_editor_warm{replica='b'}": "0x120",
    },
    "IngressAway": {"ray_qwen_edit_http_requests_in_progress{deployment='Ingress'}": GONE},
    "RouterAway": {f"ray_serve_deployment_replica_healthy{_ROUTER_R}": GONE},
    "EditsFail": {"ray_qwen_edit_edits_failed_total{code='edit_failed'}": "0+40x120"},
    "EditsRefused": {"ray_qwen_edit_edits_failed_total{code='overloaded'}": "0+200x120"},
    "RequestsFail": {"ray_qwen_edit_http_requests_total{status_class='5xx'}": "0+10x120"},
    "EditsWaitLong": {"ray_qwen_edit_stage_seconds_bucket{stage='queue',le='60'}": "0+50x120"},
    "EditsDoNotPass": {"ray_qwen_edit_edits_total{verdict='fail',cache='miss'}": "0+50x120"},
    "BacklogHigh": {"ray_qwen_edit_editor_backlog_seconds{replica='a'}": "400x120"},
    "BatchesSmallWhileManyWait": {
        "ray_qwen_edit_batch_occupancy_ratio_sum{replica='a'}": "0+200x120",
        "ray_qwen_edit_editor_pending{replica='a'}": "20x120",
    },
    "EditorStuck": {"ray_qwen_edit_steps_total{replica='a'}": "600x120"},
    "EditorMemoryNearlyFull": {
        "ray_qwen_edit_device_memory_bytes{replica='a',device='cuda',kind='allocated'}": "79x120"
    },
    # The first one that this replica counted.
    "EditsQuarantined": {"ray_qwen_edit_edits_failed_total{code='quarantined'}": "_x110 1x10"},
    "JobsDoNotStart": {"ray_qwen_edit_jobs{state='running'}": "0x120"},
    "JobsAway": {
        "ray_qwen_edit_jobs{state='queued'}": GONE,
        "ray_qwen_edit_jobs{state='running'}": GONE,
    },
    "CacheAway": {"ray_qwen_edit_flights": GONE},
    "ReplicaUnhealthy": {
        "ray_serve_deployment_replica_healthy{application='qwen-edit',deployment='Editor',"
        "replica='c'}": "0x120"
    },
    # One after the other in the last 20 minutes; of those that have gone the series stay.
    "ReplicasRestart": {f"{_STARTED}'{name}'}}": "_x100 1x20" for name in "cdefg"},
    "MetricsAway": {"up{job='kuberay',instance='n'}": "0x120"},
    "DiskNearlyFull": {"ray_node_disk_utilization_percentage{instance='n'}": "95x120"},
    "MemoryNearlyFull": {"ray_node_mem_used{instance='n',ip='1'}": "97x120"},
}


def promtool(*arguments: object) -> None:
    run = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def fires(folder: Path, series: Series, expected: set[str]) -> None:
    """Check with promtool that exactly the ``expected`` alerts fire at the end of ``series``.

    They do when their time is up and no minute before: rules are evaluated each minute, and so
    often was an alert pending.
    """
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
    pending = f'max by (alertname) (count_over_time(ALERTS{{alertstate="pending"}}[{HOURS + 1}h]))'
    minutes = [
        {"labels": f'{{alertname="{name}"}}', "value": int(alerts()[name]["for"].removesuffix("m"))}
        for name in sorted(expected)
    ]
    tests: dict[str, Any] = {
        "rule_files": [str(MONITORING / "alerts.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "promql_expr_test": [
                    {"expr": firing, "eval_time": f"{HOURS}h", "exp_samples": samples},
                    {"expr": pending, "eval_time": f"{HOURS}h", "exp_samples": minutes},
                ],
            }
        ],
    }
    file = folder / "alerts.test.yaml"
    file.write_text(yaml.safe_dump(tests))
    promtool("test", "rules", file)


@needs_promtool
def test_prometheus_reads_the_rules() -> None:
    promtool("check", "rules", MONITORING / "alerts.yaml")


@needs_promtool
def test_prometheus_reads_the_scrape_configuration(tmp_path: Path) -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    shutil.copy(MONITORING / "alerts.yaml", tmp_path)
    (kuberay,) = (job for job in config["scrape_configs"] if job["job_name"] == "kuberay")
    # Debian builds Prometheus without Kubernetes: the rest of that job is checked.
    found = {"role": "pod", "namespaces": {"names": ["qwen-edit"]}}
    assert kuberay.pop("kubernetes_sd_configs") == [found]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    promtool("check", "config", file)


def is_scraped(pod: dict[str, str]) -> bool:
    """Whether the job for KubeRay keeps a pod with these labels, as Prometheus decides it."""
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    (kuberay,) = (job for job in config["scrape_configs"] if job["job_name"] == "kuberay")
    for rule in kuberay["relabel_configs"]:
        value = ";".join(pod[name] for name in rule["source_labels"])
        matches = re.fullmatch(rule.get("regex", ".*"), value) is not None
        if rule.get("action") == ("drop" if matches else "keep"):
            return False
    return True


NODE = {
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_label_ray_io_is_ray_node": "yes",
    "__meta_kubernetes_pod_label_ray_io_cluster": "qwen-edit-x",
    "__meta_kubernetes_pod_label_ray_io_node_type": "worker",
    "__meta_kubernetes_pod_container_port_name": "metrics",
    "__meta_kubernetes_pod_name": "p",
}


@pytest.mark.parametrize(
    "other",
    [
        {"__meta_kubernetes_pod_phase": "Pending"},
        {"__meta_kubernetes_pod_phase": "Succeeded"},
        {"__meta_kubernetes_pod_phase": "Failed"},
        {"__meta_kubernetes_pod_label_ray_io_is_ray_node": ""},
        {"__meta_kubernetes_pod_container_port_name": "serve"},
    ],
)
def test_nodes_that_run_are_scraped_and_no_other_pod(other: dict[str, str]) -> None:
    """One that still pulls its image would be taken for one that has gone."""
    assert is_scraped(NODE)
    assert not is_scraped(NODE | other)


@needs_promtool
def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    fires(tmp_path, HEALTHY, set())


@needs_promtool
@pytest.mark.parametrize("alert", sorted(alerts()))
def test_an_alert_fires_alone_for_its_trouble(alert: str, tmp_path: Path) -> None:
    fires(tmp_path, HEALTHY | TROUBLE[alert], {alert})


@needs_promtool
def test_a_service_that_only_fails_is_noticed_before_it_answered_anything(tmp_path: Path) -> None:
    answered = "ray_qwen_edit_edits_total"
    series = {name: it for name, it in HEALTHY.items() if not name.startswith(answered)}
    fires(tmp_path, series | TROUBLE["EditsFail"], {"EditsFail"})


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert re.fullmatch(r"\d+m", rule["for"]), name
        assert {"summary", "description"} == rule["annotations"].keys(), name
        assert f"| `{name}` |" in (MONITORING / "README.md").read_text()


def test_the_dashboard_is_made_from_its_panels() -> None:
    made = runpy.run_path(str(MONITORING / "dashboard.py"))["dashboard"]()
    assert made == json.loads((MONITORING / "dashboard.json").read_text())


def test_panels_do_not_lie_upon_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + across, place["y"] + down)
            for across in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@needs_promtool
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"expression:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "expressions.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}))
    promtool("check", "rules", file)


def test_every_metric_of_the_service_is_watched() -> None:
    watched = set().union(*(metrics_of(expression) for expression in expressions()))
    unwatched = [metric.name for metric in METRICS if not metric.exported & watched]
    assert not unwatched
    of_the_service = {name for name in watched if name.startswith("ray_qwen_edit_")}
    assert of_the_service <= set().union(*(metric.exported for metric in METRICS))


def test_names_are_told_from_labels_strings_and_functions() -> None:
    expression = (
        'histogram_quantile(0.9, sum by (some_label) (rate(a_bucket{b_c="d_e"}[5m]))) '
        "/ on (f_g) h_i offset 5m"
    )
    assert metrics_of(expression) == {"a_bucket", "h_i"}
