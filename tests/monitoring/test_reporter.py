"""Reports reach the monitor once each, also when it is away for a while."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.config import MonitorConfig
from serve_app.errors import NotReady, Overloaded
from serve_app.monitoring.histogram import BUCKETS
from serve_app.monitoring.labels import MOST_STAGES
from serve_app.monitoring.reporter import JobBacklog, Load, Report, Reporter
from tests.monitoring.outcomes import outcome

CONFIG = MonitorConfig(interval_s=0.01, answer_s=0.05, silent_s=1.0)


class Unreliable:
    """A line to the monitor: away, losing answers, hanging, or just there."""

    def __init__(self, state: str = "there") -> None:
        self.state = state
        self.reports: list[Report] = []
        self.came = asyncio.Event()

    async def record(self, report: Report) -> None:
        self.came.set()
        if self.state == "away":
            raise NotReady("The monitor is not available yet.")
        if self.state == "hanging":
            await asyncio.Event().wait()
        self.reports.append(report)
        if self.state == "losing answers":
            raise Overloaded("too late")


async def test_a_report_has_what_happened_since_the_last_one() -> None:
    line = Unreliable()
    reporter = Reporter(line, CONFIG)
    reporter.began()
    reporter.began()
    reporter.completed(outcome(), 1.0)
    reporter.request_began()
    reporter.request_answered("2xx")
    assert await reporter.push()
    reporter.failed("overloaded")
    reporter.request_ended()
    assert await reporter.push()
    first, second = line.reports
    assert (first.number, second.number) == (1, 2)
    assert first.reporter == second.reporter
    assert first.load == Load(requests=1, edits=1)
    assert second.load == Load()
    assert first.activity.edits.total() == 1
    assert first.activity.requests == {"2xx": 1}
    assert second.activity.edits.total() == 0
    assert second.activity.failures == {"overloaded": 1}


@pytest.mark.parametrize("state", ["away", "hanging"])
async def test_a_monitor_that_is_away_hears_it_later(state: str) -> None:
    line = Unreliable(state)
    reporter = Reporter(line, CONFIG)
    for _ in range(3):
        reporter.began()
        reporter.completed(outcome(), 1.0)
        assert not await reporter.push()
    line.state = "there"
    assert await reporter.push()
    assert await reporter.push()
    assert sum(report.activity.edits.total() for report in line.reports) == 3
    assert [report.number for report in line.reports] == [1, 2]


async def test_a_report_whose_answer_was_lost_comes_again_as_it_was() -> None:
    line = Unreliable("losing answers")
    reporter = Reporter(line, CONFIG)
    reporter.withdrawn()
    reporter.began()
    assert not await reporter.push()
    reporter.began()
    reporter.failed("overloaded")
    line.state = "there"
    assert await reporter.push()
    first, again = line.reports
    assert first.number == again.number == 1
    assert first.activity == again.activity
    assert again.activity.failures == {}


async def test_a_long_absence_takes_no_more_memory() -> None:
    reporter = Reporter(Unreliable("away"), CONFIG)
    for i in range(10_000):
        reporter.began()
        reporter.completed(outcome(f"t{i}", seconds=({f"s{i}": i / 7},)), i / 3)
        if i % 100 == 0:
            assert not await reporter.push()
    for kept in (reporter._activity, reporter._unheard and reporter._unheard.activity):
        assert kept is not None
        assert len(kept.edits) == 1
        assert len(kept.stages) <= MOST_STAGES + 1
        assert all(len(stage.counts) <= BUCKETS for stage in kept.stages.values())


async def test_jobs_are_counted_where_there_are_any() -> None:
    known = [JobBacklog(queued=4, running=2), JobBacklog(queued=1, running=1)]

    async def jobs() -> JobBacklog:
        if not known:
            raise NotReady("The database does not answer.")
        return known.pop(0)

    line = Unreliable()
    reporter = Reporter(line, CONFIG, jobs)
    for _ in range(3):
        assert await reporter.push()
    counted = [report.load.jobs for report in line.reports]
    # Where nobody knows, it is what was known last.
    assert counted == [JobBacklog(4, 2), JobBacklog(1, 1), JobBacklog(1, 1)]


async def test_the_load_is_told_again_and_again_heard_or_not() -> None:
    loads: list[Load] = []
    line = Unreliable("away")
    reporter = Reporter(line, CONFIG, on_load=loads.append)
    reporter.began()
    assert not await reporter.push()
    reporter.request_began()
    line.state = "there"
    assert await reporter.push()
    assert loads == [Load(requests=0, edits=1), Load(requests=1, edits=1)]


async def test_it_reports_by_itself_until_it_is_closed() -> None:
    line = Unreliable("away")
    reporter = Reporter(line, CONFIG)
    reporter.start()
    reporter.start()
    for state in ("there", "there"):
        await line.came.wait()
        line.came.clear()
        line.state = state
    await line.came.wait()
    await reporter.close()
    assert [report.number for report in line.reports] in ([1], [1, 2])


async def test_closing_what_was_never_started() -> None:
    await Reporter(Unreliable(), CONFIG).close()
