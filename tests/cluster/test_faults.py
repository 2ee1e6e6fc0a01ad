"""Three nodes under load, while editors, nodes and versions come and go.

How much longer edits take is measured by `python -m benchmarks.faults`, which runs the same parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.faults import parts
from benchmarks.faults.doomed import DEADLY, doomed_editors
from benchmarks.faults.load import Sent, largest_difference, send
from benchmarks.nodes import Nodes, nodes
from benchmarks.processes import kill
from serve_app.errors import Quarantined

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

REQUESTS = 200


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with nodes(root=tmp_path_factory.mktemp("nodes")) as running:
        yield running


@pytest.fixture(scope="module")
def peace(cluster: Nodes) -> Sent:
    """The same edits while nothing happens."""
    return parts.peace(cluster, REQUESTS)


@pytest.fixture
def whole(cluster: Nodes) -> Nodes:
    """The cluster with two nodes for editors and the usual version on them."""
    while len(cluster.workers) < 2:
        cluster.add_worker()
    if cluster.changes != {}:
        cluster.deploy()
    cluster.wait_for("Editor", 2)
    return cluster


def test_parts_are_spread_over_the_nodes(whole: Nodes) -> None:
    assert [len(whole.replicas("Editor", worker)) for worker in whole.workers] == [1, 1]
    assert len(whole.replicas("Cache")) == 2
    assert not any(whole.replicas("Ingress", worker) for worker in whole.workers)


def test_no_edit_is_lost_with_its_editor(whole: Nodes, peace: Sent) -> None:
    sent = parts.editor_killed(whole, REQUESTS)
    assert sent.failed == {}
    assert len(sent.answers) >= REQUESTS
    assert largest_difference(peace, sent) <= 1


def test_no_edit_is_lost_with_a_node(whole: Nodes, peace: Sent) -> None:
    sent = parts.node_removed(whole, REQUESTS)
    assert len(whole.workers) == 1
    assert sent.failed == {}
    assert largest_difference(peace, sent) <= 1


def test_updates_drop_no_edit(whole: Nodes) -> None:
    for number in range(3):
        before = set(whole.replicas("Editor"))
        sent = parts.updated(whole, REQUESTS, {"limits": {"max_steps": 500 + number}})
        assert sent.failed == {}
        assert not before & set(whole.replicas("Editor"))
    refused = send(whole.url, range(1), at_once=1, steps=503)
    assert refused.failed == {"invalid_value": 1}


def test_a_broken_version_leaves_the_old_one_serving(whole: Nodes) -> None:
    assert parts.broken_update(whole, REQUESTS).failed == {}
    assert parts.peace(whole, REQUESTS).failed == {}
    assert httpx.get(f"{whole.url}/ready", trust_env=False).status_code == 200


def test_editors_come_and_go_with_the_work_and_drop_no_edit(whole: Nodes) -> None:
    whole.deploy(parts.SCALING)
    whole.wait_for("Editor", 1)
    assert parts.scaled(whole, REQUESTS, 2, parts.AT_ONCE).failed == {}
    assert parts.scaled(whole, REQUESTS, 1, 1).failed == {}


def test_an_edit_that_kills_editors_gets_two_and_takes_nobody_along(
    whole: Nodes, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    with doomed_editors(deaths):
        whole.deploy({"limits": {"max_steps": 500}})
    sent = parts.deadly_edit(whole, REQUESTS)
    assert sent.failed == {Quarantined.code: 1}
    assert deaths.read_text().splitlines() == ["died"] * 2
    again = send(whole.url, range(50, 51), at_once=1, steps=parts.STEPS, odd={50: DEADLY})
    assert again.failed == {Quarantined.code: 1}
    assert len(deaths.read_text().splitlines()) == 2


def test_the_service_is_ready_only_while_an_editor_answers(whole: Nodes) -> None:
    kill(whole.replicas("Editor"))
    with httpx.Client(base_url=whole.url, trust_env=False, timeout=30) as client:
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200
        whole.wait_for("Editor", 2)
        assert client.get("/ready").status_code == 200
