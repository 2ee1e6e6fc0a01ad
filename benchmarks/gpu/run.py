"""Runs the parts one after the other; what breaks in one does not cost the next."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable

import diffusers
import torch
import transformers

from benchmarks.gpu.architecture import FULL, MINIATURE, Size
from benchmarks.gpu.bench import Bench, Part, Progress, described
from benchmarks.gpu.curve import curve
from benchmarks.gpu.device import Deadline, Device, TimeIsUp
from benchmarks.gpu.end_to_end import end_to_end
from benchmarks.gpu.floor import forward_flop, image_tokens, matmul_rate
from benchmarks.gpu.lengths import lengths
from benchmarks.gpu.modes import modes
from benchmarks.gpu.options import Options
from benchmarks.gpu.record import Record, run_facts, table
from benchmarks.gpu.steps import steps
from benchmarks.gpu.together import together

_PARTS: dict[str, Callable[[Bench, Part], None]] = {
    "end_to_end": end_to_end,
    "together": together,
    "steps": steps,
    "curve": curve,
    "lengths": lengths,
    "modes": modes,
}


def run(options: Options) -> int:
    """Run what ``options`` ask for; the exit code."""
    deadline, progress = Deadline(options.budget_s), Progress()
    size = MINIATURE if options.tiny else FULL
    try:
        record = Record(options.out, options.merge, size.name)
    except (OSError, ValueError, KeyError) as error:
        print(f"Results can't be read: {described(error)}", file=sys.stderr)
        return 2
    if not options.parts:
        record.write()
        return 0
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no CUDA device; --tiny runs on the CPU.", file=sys.stderr)
        return 2
    bench = _bench(options, size, deadline, progress)
    facts = run_facts(bench.device.torch, options.commit)
    facts |= _ceiling(bench) | {"options": options.shown()}
    progress(json.dumps(facts))
    finished = [_run_part(name, bench, record, facts) for name in options.parts]
    print()
    for part in finished:
        if part is not None and part.rows:
            print(table(part.entry, part.rows), end="\n\n")
    print(_floor_line(bench))
    if options.out is not None:
        print(f"Written to {options.out}.")
    return int(any(part is not None and part.failed for part in finished))


def _bench(options: Options, size: Size, deadline: Deadline, progress: Progress) -> Bench:
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    torch.backends.cudnn.benchmark = False
    device = Device(options.device)
    if not device.cuda:
        torch.set_num_threads(1)
    rate = matmul_rate(device, size.matmul_side, size.dtype)
    device.free()
    return Bench(size, device, options, deadline, progress, rate)


def _run_part(name: str, bench: Bench, record: Record, facts: dict[str, object]) -> Part | None:
    """Run one part; ``None`` if there was no time to begin."""
    if bench.deadline.remaining_s() <= 0:
        bench.progress(f"{name}: left out, the time is up")
        return None
    part = Part(bench.options.entry(name), bench, record)
    record.begin(part.entry, facts)
    bench.device.free()
    started, status = time.monotonic(), "complete"
    try:
        _PARTS[name](bench, part)
    except TimeIsUp as reason:
        status = f"cut short: {reason}"
    except Exception as error:  # noqa: BLE001  the other parts must run; it is told and counted
        part.failed = True
        status = f"failed: {described(error)}"
        traceback.print_exc()
    if status == "complete" and part.failed:
        status = "complete but for failed rows"
    record.end(part.entry, status, time.monotonic() - started, part.peak_memory_gb)
    bench.progress(f"{part.entry}: {status}")
    bench.device.free()
    return part


def _ceiling(bench: Bench) -> dict[str, object]:
    size = bench.size
    prompt = size.text_lengths[:1]
    return {
        "size": size.name,
        "dtype": str(size.dtype).removeprefix("torch."),
        "matmul_tflops": bench.matmul_rate / 1e12,
        "forward_tflop": forward_flop(size.transformer, image_tokens(size.side), *prompt) / 1e12,
        "floor_s_per_forward": bench.floor_s(size.side, prompt),
    }


def _floor_line(bench: Bench) -> str:
    facts, size = _ceiling(bench), bench.size
    return (
        f"Floor of one forward at {size.side}x{size.side} with one reference: "
        f"{facts['forward_tflop']:.4g} TFLOP at {facts['matmul_tflops']:.4g} TFLOP/s (a "
        f"{size.matmul_side}x{size.matmul_side} {facts['dtype']} product in this run) = "
        f"{facts['floor_s_per_forward']:.4g} s."
    )
