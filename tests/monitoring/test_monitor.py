"""The monitor: reports of many replicas in, one summary out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serve_app.config import MonitorConfig
from serve_app.edits.result import CacheStatus
from serve_app.monitoring.activity import Activity
from serve_app.monitoring.gpus import GpuReader
from serve_app.monitoring.histogram import RELATIVE_ERROR
from serve_app.monitoring.machine import Machine
from serve_app.monitoring.monitor import MOST_REPORTERS, ServiceMonitor
from serve_app.monitoring.reporter import JobBacklog, Load, Report, Reporter
from tests.monitoring.clock import Clock
from tests.monitoring.outcomes import outcome
from tests.monitoring.test_gpus import FakeGpuDriver

CONFIG = MonitorConfig()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def monitor(clock: Clock) -> AsyncIterator[ServiceMonitor]:
    one = ServiceMonitor(CONFIG, Machine(GpuReader(FakeGpuDriver())), clock)
    yield one
    await one.close()


async def test_before_anything_happened_everything_is_there(monitor: ServiceMonitor) -> None:
    summary = await monitor.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["window"] == {"length_s": 3600.0, "filled_s": 0.0}
    assert summary["uptime_s"] == 0.0
    assert summary["requests"] == {
        "total": 0,
        "last_hour": 0,
        "in_flight": 0,
        "by_status": {},
        "error_rate": {"4xx": None, "5xx": None},
    }
    assert summary["cache"]["hit_rate"] is None
    assert summary["attempts"]["per_edit"] is None
    assert summary["stages"] == {}
    assert summary["cpu"] == {"percent": None}
    assert summary["memory"]["used_bytes"].keys() == {"current", "average", "maximum"}
    assert summary["memory"]["used_bytes"]["current"] < summary["memory"]["total_bytes"]


async def test_gpus_are_followed(monitor: ServiceMonitor) -> None:
    gpus = (await monitor.summary())["gpus"]
    assert [gpu["index"] for gpu in gpus] == [0, 1]
    same = dict.fromkeys(("current", "average", "maximum"), 41.0)
    assert gpus[1]["load_percent"] == same
    assert gpus[1]["temperature_c"]["maximum"] == 51.0
    assert gpus[1]["memory_total_bytes"] == 80 * 2**30


async def test_without_a_gpu_the_list_is_empty(clock: Clock) -> None:
    monitor = ServiceMonitor(CONFIG, Machine(GpuReader(FakeGpuDriver("nvmlInit"))), clock)
    assert (await monitor.summary())["gpus"] == []


async def reported(monitor: ServiceMonitor) -> tuple[Reporter, Reporter]:
    """Two replicas; of ten requests one failed by us, two by the client, and one client left."""
    first, second = Reporter(monitor, CONFIG), Reporter(monitor, CONFIG)
    for status in ("2xx",) * 6 + ("4xx", "4xx", "5xx", "unanswered"):
        first.request_began()
        first.request_answered(status)
        first.request_ended()
    for reporter in (first, second):
        for _ in range(3):
            reporter.began()
        reporter.completed(outcome("text", "pass", seconds=({"denoise": 3.0},) * 2), 7.0)
        reporter.completed(outcome("text", "fail", cache=CacheStatus.HIT), 0.01)
    second.completed(outcome("hybrid", "pass", cache=CacheStatus.JOINED), 5.0)
    assert await first.push()
    assert await second.push()
    return first, second


async def test_reports_of_all_replicas_are_added(monitor: ServiceMonitor) -> None:
    await reported(monitor)
    summary = await monitor.summary()
    assert summary["requests"]["total"] == summary["requests"]["last_hour"] == 10
    assert summary["requests"]["by_status"] == {"2xx": 6, "4xx": 2, "5xx": 1, "unanswered": 1}
    assert summary["requests"]["error_rate"] == {
        "4xx": pytest.approx(2 / 9, abs=1e-4),
        "5xx": pytest.approx(1 / 9, abs=1e-4),
    }
    edits = summary["edits"]
    assert (edits["total"], edits["last_hour"], edits["made"]) == (5, 5, 2)
    assert edits["by_type"] == {"hybrid": 1, "text": 4}
    assert edits["by_verdict"] == {"fail": 2, "pass": 3}
    assert edits["by_type_and_verdict"] == {"hybrid": {"pass": 1}, "text": {"fail": 2, "pass": 2}}
    assert summary["attempts"] == {"total": 4, "per_edit": 2.0, "edits": {"2": 2}}
    assert summary["cache"] == {"hit_rate": 0.6, "answers": {"hit": 2, "joined": 1, "miss": 2}}
    assert summary["stages"]["denoise"]["count"] == 4
    assert summary["stages"]["denoise"]["p99_s"] == pytest.approx(3.0, rel=RELATIVE_ERROR)
    assert summary["stages"]["total"]["count"] == 2
    assert summary["queue"]["edits"] == 1


async def test_a_sample_tells_its_age(monitor: ServiceMonitor, clock: Clock) -> None:
    await monitor.sample()
    clock.advance(12)
    assert (await monitor.summary())["sampled_s_ago"] == 12.0
    await monitor.sample()
    assert (await monitor.summary())["sampled_s_ago"] == 0.0


async def test_what_is_an_hour_old_is_forgotten_but_for_the_totals(
    monitor: ServiceMonitor, clock: Clock
) -> None:
    await reported(monitor)
    clock.advance(3601)
    summary = await monitor.summary()
    assert (summary["requests"]["total"], summary["requests"]["last_hour"]) == (10, 0)
    assert (summary["edits"]["total"], summary["edits"]["last_hour"]) == (5, 0)
    assert summary["stages"] == {}
    assert summary["uptime_s"] == 3601.0
    assert 3540 <= summary["window"]["filled_s"] <= 3600


async def test_a_silent_replica_has_no_load(monitor: ServiceMonitor, clock: Clock) -> None:
    first, second = Reporter(monitor, CONFIG), Reporter(monitor, CONFIG)
    for reporter in (first, second):
        reporter.began()
        reporter.request_began()
        await reporter.push()
    assert (await monitor.summary())["queue"]["edits"] == 2
    clock.advance(CONFIG.silent_s - 1)
    await first.push()
    clock.advance(2)
    summary = await monitor.summary()
    assert summary["queue"]["edits"] == 1
    assert summary["requests"]["in_flight"] == 1


async def test_a_report_that_comes_twice_counts_once(monitor: ServiceMonitor) -> None:
    activity = Activity()
    activity.request("2xx")
    for number in (1, 1, 2, 1):
        await monitor.record(Report("a", number, activity, Load()))
    assert (await monitor.summary())["requests"]["total"] == 2


async def test_the_queue_is_edits_and_jobs(monitor: ServiceMonitor, clock: Clock) -> None:
    async def length(edits: int, backlog: JobBacklog) -> dict[str, Any]:
        clock.advance(5)
        await monitor.record(Report("a", 1, Activity(), Load(edits=edits, jobs=backlog)))
        await monitor.sample()
        queue: dict[str, Any] = (await monitor.summary())["queue"]
        return queue

    await length(5, JobBacklog(3, 2))
    assert await length(1, JobBacklog(0, 1)) == {
        "edits": 1,
        "jobs_queued": 0,
        "jobs_running": 1,
        "length": {"current": 2.0, "average": 6.0, "maximum": 10.0},
    }


async def test_replicas_that_come_and_go_take_no_more_memory(
    monitor: ServiceMonitor, clock: Clock
) -> None:
    for i in range(3 * MOST_REPORTERS):
        await monitor.record(Report(f"replica {i}", 1, Activity(), Load()))
    assert len(monitor._reporters) == MOST_REPORTERS
    clock.advance(3601)
    await monitor.record(Report("new", 1, Activity(), Load()))
    assert monitor._reporters.keys() == {"new"}


async def test_it_samples_by_itself(clock: Clock) -> None:
    config = MonitorConfig(interval_s=0.01)
    monitor = ServiceMonitor(config, Machine(GpuReader(FakeGpuDriver())), clock)
    monitor.start()
    while (await monitor.summary())["cpu"]["percent"] is None:
        await asyncio.sleep(0.01)
    percent = (await monitor.summary())["cpu"]["percent"]
    assert 0.0 <= percent["average"] <= percent["maximum"] <= 100.0
    await monitor.close()
