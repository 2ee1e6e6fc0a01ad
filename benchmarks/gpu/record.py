"""Rows as a plain table and as JSON, written after every row: a killed run loses nothing."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PROGRAM = "python -m benchmarks.gpu"
WEIGHTS = "random weights; the architecture at its size runs at the real model's speed"

_REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "torchao", "numpy", "pillow")
_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass
class Row:
    """One measured thing. Seconds are medians; ``per`` says of what (a step, an edit).

    ``against`` names what ``times_as_fast`` compares with, measured in the same run.
    ``share_of_floor`` (0..1) is the floor's seconds over these. ``status`` is ``"measured"``
    or why it was not.
    """

    what: str
    seconds: float | None = None
    per: str = ""
    times_as_fast: float | None = None
    against: str | None = None
    share_of_floor: float | None = None
    peak_memory_gb: float | None = None
    target_s: float | None = None
    status: str = "measured"
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        if self.target_s is None or self.seconds is None:
            return None
        return self.seconds <= self.target_s

    def to_json(self) -> dict[str, Any]:
        return {**rounded(asdict(self)), "reached": self.reached}


class Record:
    """The results file: parts by name, each with the facts of the run that measured it.

    Parts that the file has already are kept until a row of this run replaces them. Raises
    ``ValueError`` for a file of something else or of another ``size``. ``path=None`` writes
    nothing.
    """

    def __init__(self, path: Path | None, merge: Sequence[Path], size: str) -> None:
        self._path, self._size = path, size
        self._parts: dict[str, Any] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        earlier = [path] if path is not None and path.exists() else []
        for file in (*earlier, *merge):
            self._parts |= self._parts_of(file)

    def begin(self, part: str, facts: Mapping[str, Any]) -> None:
        """Let the rows that follow replace ``part``; ``facts`` are about this run."""
        self._facts[part] = facts

    def add(self, part: str, row: Row) -> None:
        self._of_this_run(part)["rows"].append(row.to_json())
        self.write()

    def end(self, part: str, status: str, seconds: float, peak_memory_gb: float | None) -> None:
        """Say how ``part`` ended: ``"complete"``, or what cut it short."""
        if part in self._facts and part in self._parts:
            return  # without a row; what was there before stays
        self._of_this_run(part).update(
            rounded({"status": status, "seconds": seconds, "peak_memory_gb": peak_memory_gb})
        )
        self.write()

    def _of_this_run(self, part: str) -> dict[str, Any]:
        if part in self._facts:
            run = rounded(self._facts.pop(part))
            self._parts[part] = {"status": "unfinished", "run": run, "rows": []}
        entry: dict[str, Any] = self._parts[part]
        return entry

    def write(self) -> None:
        if self._path is None:
            return
        content = {
            "program": PROGRAM,
            "size": self._size,
            "weights": WEIGHTS,
            "parts": self._parts,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}.unfinished")
        unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        unfinished.replace(self._path)

    def _parts_of(self, file: Path) -> dict[str, Any]:
        content = json.loads(file.read_text())
        if not isinstance(content, dict) or content.get("program") != PROGRAM:
            raise ValueError(f"{file} is no results file of {PROGRAM}.")
        if content.get("size") != self._size:
            raise ValueError(f"{file} holds results of another size of the model.")
        return dict(content["parts"])


def table(part: str, rows: list[Row]) -> str:
    """Lay rows out in columns as wide as what is in them."""
    heading = ("what", "seconds", "per", "as fast as", "of floor", "peak GB", "target s", "note")
    lines = [heading, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    left = {0, 2, len(heading) - 1}
    text = [f"{part} ({WEIGHTS})"]
    for line in lines:
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    def number(value: float | None, pattern: str) -> str:
        return "" if value is None else format(value, pattern)

    mark = {None: "", True: " pass", False: " MISS"}[row.reached]
    against = f"x {row.against}" if row.against else ""
    note = " ".join(([] if row.status == "measured" else [f"[{row.status}]"]) + [row.note])
    return (
        row.what,
        number(row.seconds, ".4g"),
        row.per,
        number(row.times_as_fast, ".3f") + against,
        number(row.share_of_floor, ".1%"),
        number(row.peak_memory_gb, ".1f"),
        number(row.target_s, "g") + mark,
        note.strip(),
    )


def rounded(value: Any) -> Any:
    """Round every float in nested lists and mappings to five significant digits."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def run_facts(device: torch.device, commit: str | None) -> dict[str, Any]:
    """Describe the device, the versions and the code; ``commit`` where git can't tell."""
    cuda = device.type == "cuda"
    changes = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or _git("rev-parse", "HEAD"),
        "uncommitted_changes": None if changes is None else bool(changes),
        "device": torch.cuda.get_device_name(device) if cuda else platform.machine(),
        "device_memory_gb": torch.cuda.get_device_properties(device).total_memory / 1e9
        if cuda
        else None,
        "driver": _driver() if cuda else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _driver() -> str | None:
    """The driver's version: from nvidia-smi, or from the kernel module where that is missing."""
    answer = _output(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    )
    if answer or not _DRIVER.is_file():
        return answer
    found = re.search(r"\d+\.\d+(\.\d+)?", _DRIVER.read_text())
    return found[0] if found else None


def _git(*arguments: str) -> str | None:
    """Ask git; ``None`` outside a checkout or without git."""
    return _output(["git", *arguments])


def _output(command: list[str]) -> str | None:
    try:
        answer = subprocess.run(
            command, cwd=_REPOSITORY, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
