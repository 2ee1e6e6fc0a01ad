"""Runs every benchmark, each in a process of its own: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.report import REPOSITORY

PROGRAMS = (
    "miniature",
    "quality",
    "engine",
    "scheduling",
    "memory_modes",
    "http",
    "jobs",
    "kills",
    "workflows",
    "ab_tests",
    "smart_crop",
    "bulk",
    "edge",
    "faults",
    "scale",
)


def main() -> int:
    """Run all; the exit code tells whether they ran, not whether targets were reached."""
    failed = []
    for number, program in enumerate(PROGRAMS, 1):
        print(f"[{number}/{len(PROGRAMS)}] python -m benchmarks.{program}", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{program}"]
        if subprocess.run(command, cwd=REPOSITORY).returncode:
            failed.append(program)
        print(f"[{number}/{len(PROGRAMS)}] {time.monotonic() - started:.0f} s\n", flush=True)
    if failed:
        print(f"Failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
