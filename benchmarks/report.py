"""Figures with their targets: a table for people, a JSON file with the machine's facts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"

_PACKAGES = ("torch", "diffusers", "transformers", "ray", "fastapi", "pillow", "numpy")


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at most, or at least, a limit in the figure's unit."""

    limit: float
    at_most: bool = True

    def reached(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; ``compared_with`` is what was measured in the same run beside it."""

    what: str
    value: float
    unit: str
    target: Target | None = None
    compared_with: str | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; ``None`` without one."""
        return None if self.target is None else self.target.reached(self.value)

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": significant(self.value),
            "unit": self.unit,
            "target": None if self.target is None else str(self.target),
            "reached": self.reached,
            "compared_with": self.compared_with,
        }


def significant(value: float) -> float:
    """Round to four significant digits: the rest is noise."""
    return float(f"{value:.4g}")


def shown(value: float) -> str:
    """Three digits, without an exponent for what is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def rounded(value: Any) -> Any:
    """Round every float in nested lists and mappings."""
    if isinstance(value, float):
        return significant(value)
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def known_details(program: str) -> dict[str, Any]:
    """What earlier runs of ``program`` wrote beside their figures; empty before the first."""
    path = RESULTS / f"{program}.json"
    if not path.exists():
        return {}
    details: dict[str, Any] = json.loads(path.read_text())["details"]
    return details


def publish(
    console: Console, program: str, figures: Sequence[Figure], details: Mapping[str, Any]
) -> None:
    """Print the figures and write them with ``details`` to ``results/<program>.json``."""
    console.print(_table(program, figures))
    missed = [figure.what for figure in figures if figure.reached is False]
    aimed = sum(figure.target is not None for figure in figures)
    if missed:
        console.print(f"[bold red]MISSED {len(missed)} of {aimed} targets[/]: {'; '.join(missed)}")
    else:
        console.print(f"[bold green]All {aimed} targets reached.[/]")
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{program}.json"
    content = {
        "program": f"python -m benchmarks.{program}",
        "machine": machine_facts(),
        "figures": [figure.to_json() for figure in figures],
        "details": rounded(details),
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    console.print(f"Written to {path.relative_to(REPOSITORY)}.")


def wide_console() -> Console:
    """The terminal as it is; in a pipe or a log, wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=150)


def _table(title: str, figures: Sequence[Figure]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("figure", "value", "unit", "target", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    table.add_column("compared with, in the same run")
    marks = {None: "", True: "[green]pass[/]", False: "[bold red]MISS[/]"}
    for figure in figures:
        table.add_row(
            figure.what,
            f"{significant(figure.value):g}",
            figure.unit,
            "" if figure.target is None else str(figure.target),
            marks[figure.reached],
            figure.compared_with or "",
        )
    return table


def machine_facts() -> dict[str, Any]:
    """Describe the machine, the versions and the code that was measured."""
    status = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(status),
        "platform": platform.platform(),
        "cpu_model": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        "load_average_1_min": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _git(*arguments: str) -> str | None:
    """Ask git; ``None`` outside a checkout or without git."""
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
