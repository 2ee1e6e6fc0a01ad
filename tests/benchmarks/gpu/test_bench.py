"""Rows that go wrong, and the time that a run has."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu.architecture import MINIATURE
from benchmarks.gpu.bench import Bench, Part, Progress, Unavailable
from benchmarks.gpu.device import Deadline, Device, TimeIsUp
from benchmarks.gpu.options import parse
from benchmarks.gpu.record import Record


def test_a_row_that_goes_wrong_is_told_and_costs_no_other() -> None:
    options = parse(["--tiny"])
    deadline = Deadline(1000.0)
    bench = Bench(MINIATURE, Device("cpu"), options, deadline, Progress(), matmul_rate=1e12)
    record = Record(None, (), "miniature")
    record.begin("curve", {"date": "now"})
    part = Part("curve", bench, record)
    with part.row("too large"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with part.row("not installed"):
        raise Unavailable("flash-attn is missing")
    assert not part.failed
    with part.row("broken"):
        raise ValueError("first line\nsecond line")
    assert part.failed
    assert [(row.status, row.note) for row in part.rows] == [
        ("out of memory", ""),
        ("not here", "flash-attn is missing"),
        ("failed", "ValueError: first line"),
    ]
    with pytest.raises(TimeIsUp), part.row("too late"):
        deadline.require(2000.0)
    assert len(part.rows) == 3


def test_a_deadline_refuses_what_would_not_end() -> None:
    deadline = Deadline(1000.0)
    deadline.require(900.0)
    with pytest.raises(TimeIsUp):
        deadline.require(1001.0)
