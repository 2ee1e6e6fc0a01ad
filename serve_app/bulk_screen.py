"""What `qwen-edit bulk` prints beside its progress: a plan, what is wrong, what came out."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serve_app.bulk.dry_run import DryRun, dry_run
from serve_app.bulk.manifest.check import Faults
from serve_app.bulk.preparing import Order
from serve_app.bulk.summary import Summary
from serve_app.bulk.wording import duration
from serve_app.config import ServiceConfig
from serve_app.terminal import PLAIN, VERDICT_STYLES, notes

UNUSABLE = 2
"""Exit status of what can't be run, as everywhere."""


def show_dry_run(
    console: Console,
    config: ServiceConfig,
    order: Order,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
) -> int:
    """Check ``order`` and print what running it would do; returns an exit status.

    It is 0 if it would run.
    """
    with notes.status("checking the manifest") as status:
        plan = dry_run(
            config,
            order,
            lambda rows: status.update(f"checking the manifest, {rows:,} rows"),
            limit=limit,
            retry_failed=retry_failed,
        )
    manifest, faults = plan.manifest, plan.manifest.faults
    _line(console, "rows", f"{manifest.rows:,}")
    if faults.count:
        _line(console, "can't be run", f"{faults.count:,}", "red")
    if manifest.missing:
        _line(console, "images not there", f"{manifest.missing:,}", "yellow")
    if plan.ended:
        _line(console, "done already", f"{plan.ended:,}")
    _line(console, "to be run", f"{plan.left:,}")
    estimate = plan.estimate
    _line(
        console,
        "time",
        "not known" if estimate.seconds is None else f"about {duration(estimate.seconds)}",
    )
    if estimate.price is not None:
        _line(console, "price", f"about {estimate.price:,.2f}")
    console.print(estimate.basis, style="dim", **PLAIN)
    if plan.sample:
        console.print(_sample(plan))
    if faults.count:
        show_faults(console, faults)
    return UNUSABLE if faults.count and not order.skip_invalid else 0


def show_faults(console: Console, faults: Faults) -> None:
    """Print which rows can't be run, and why."""
    for fault in faults.first:
        console.print(
            Text.assemble((f"row {fault.number:,}", "bold red"), f" ({fault.id}): {fault.message}"),
            soft_wrap=True,
        )
    if (more := faults.count - len(faults.first)) > 0:
        reasons = ", ".join(f"{count:,} {code}" for code, count in faults.by_code.items())
        console.print(f"and {more:,} more; in all {reasons}", **PLAIN)


def show_summary(console: Console, summary: Summary, out: str, command: str) -> None:
    """Print what a run came to, where it is, and how it goes on."""
    _line(console, "succeeded", f"{summary.succeeded:,}", "green")
    for verdict in VERDICT_STYLES:
        if count := summary.verdicts.get(verdict):
            _line(console, f"  {verdict}", f"{count:,}", VERDICT_STYLES[verdict])
    if summary.failed:
        _line(console, "failed", f"{summary.failed:,}", "red")
        for code, count in sorted(summary.failures.items(), key=lambda one: -one[1]):
            _line(console, f"  {code}", f"{count:,}")
    if summary.left:
        _line(console, "not run yet", f"{summary.left:,}", "yellow")
    place = out.rstrip("/")
    console.print(f"{place}/report.html\n{place}/results.parquet", **PLAIN)
    if summary.left:
        console.print(f"To go on:\n  {command}", **PLAIN)
    if summary.failed > summary.invalid:
        console.print(f"To try the failed rows again:\n  {command} --retry-failed", **PLAIN)


def _line(console: Console, name: str, value: str, style: str = "") -> None:
    console.print(Text.assemble((f"{name:<18}", "dim"), (f"{value:>12}", style)))


def _sample(plan: DryRun) -> Table:
    table = Table(box=box.SIMPLE, title="the first edits, as planned", title_justify="left")
    for heading in ("id", "prompt", "type", "steps", "guidance"):
        table.add_column(heading, overflow="fold")
    for edit in plan.sample:
        table.add_row(
            Text(edit.id),
            Text(edit.prompt),
            Text(str(edit.edit_type)),
            str(edit.steps),
            f"{edit.scale:g}",
        )
    return table
