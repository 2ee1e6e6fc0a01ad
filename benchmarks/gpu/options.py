"""The command line; it imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PARTS = ("end_to_end", "together", "steps", "curve", "lengths", "modes")
MODES = (
    "eager",
    "attention",
    "compiled",
    "compiled_dynamic",
    "float8_storage",
    "float8_dynamic",
)
DEFAULT_OUT = Path("benchmarks/results/gpu.json")

_DESCRIPTION = """\
Measures Qwen-Image-Edit at its full size on a GPU: this engine's denoising step and the stock
diffusers pipeline, in the same run. The weights are random, made on the device (60 GB in
bfloat16 with the text encoder, 41 GB without): they run at the real model's speed.
Start it from the repository's root. It needs torch, transformers, accelerate, diffusers, numpy
and Pillow, and this project's sources; the project need not be installed."""

_EPILOG = """\
parts, with what they take on one H200 (estimated):
  end_to_end  whole edits at 1024x1024 with one reference: 4 and 50 steps, with and without
              guidance, ours and stock in turns, with the time of each stage (5 minutes;
              7 with --compile)
  together    edits that arrive at once, through the engine's own threads: its encoders, steps
              and decoder beside each other, against stock, one after the other; some are
              cancelled (1 minute; it also needs pydantic, cachetools and peft)
  steps       seconds of a step, ours and stock; both rows of guidance in one forward or in two
              (1 minute)
  curve       seconds of a step at 512x512 and 1024x1024, batch 1, 2, 4 and 8 (2 minutes)
  lengths     seconds of a step of prompts of several lengths: attention by row, or masked
              (1 minute)
  modes       eager, the attention kernels that are there, compiled, float8 (5 minutes)

--compile, --attention, --guidance and --zero-cond-t make a part's results go to an entry of
their own beside the plain one, such as "curve [compiled]".

exit code: 0 if what was measured was measured without an error (missed targets and parts left
out for lack of time are none), 1 after an error in a part or a row, 2 for wrong arguments."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    parts: tuple[str, ...]
    modes: tuple[str, ...]
    tiny: bool
    device: str
    out: Path | None
    merge: tuple[Path, ...]
    budget_s: float
    repeats: int
    compiled: bool
    compile_mode: str | None
    attention: str
    stacked: bool
    zero_cond_t: bool
    commit: str | None

    def shown(self) -> dict[str, Any]:
        """What decides the figures; not where files lie."""
        hidden = ("out", "merge", "commit")
        return {name: value for name, value in asdict(self).items() if name not in hidden}

    def entry(self, part: str) -> str:
        """The name under which the results of ``part`` are kept."""
        how = []
        if part != "modes":
            how += ["compiled"] if self.compiled else []
            how += [self.attention] if self.attention != "native" else []
            how += ["guidance stacked"] if self.stacked else []
        how += [self.compile_mode] if self.compile_mode else []
        how += ["zero_cond_t"] if self.zero_cond_t else []
        return f"{part} [{', '.join(how)}]" if how else part


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Exits with 2 and a message for what can't be."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--parts", default=",".join(PARTS), help="comma-separated, of those below; '' for none")
    add(
        "--modes",
        default=",".join(MODES),
        help=f"what the part modes tries, comma-separated (default: {','.join(MODES)})",
    )
    add("--tiny", action="store_true", help="a miniature on the CPU: does the program work?")
    add("--device", help="default: cuda, or cpu with --tiny")
    add(
        "--out",
        type=Path,
        help=f"results as JSON, written after every row; parts already in it that are not "
        f"measured now are kept (default: {DEFAULT_OUT}; with --tiny none)",
    )
    add(
        "--merge",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="take over the parts of these results too; with --parts '' nothing is measured",
    )
    add(
        "--budget-s",
        type=float,
        default=510.0,
        metavar="S",
        help="what would not end within so many seconds is left out (default: 510)",
    )
    add(
        "--repeats",
        type=int,
        default=2,
        help="measurements of 50 steps without guidance; other numbers follow (default: 2)",
    )
    add("--compile", action="store_true", help="our side with compiled blocks (also eager)")
    add("--compile-mode", help="mode of torch.compile, such as max-autotune-no-cudagraphs")
    add("--attention", default="native", help="diffusers' attention backend for our side")
    add(
        "--guidance",
        choices=("stacked", "apart"),
        default="apart",
        help="our side of a guided step: one forward, or two (default: apart)",
    )
    add("--zero-cond-t", action="store_true", help="the transformer of Qwen-Image-Edit-2511")
    add("--commit", help="the commit that is measured, where there is no git to ask")
    given = parser.parse_args(arguments)
    if given.repeats < 1:
        parser.error("--repeats must be at least 1")
    return Options(
        parts=_names(parser, "--parts", given.parts, PARTS),
        modes=_names(parser, "--modes", given.modes, MODES),
        tiny=given.tiny,
        device=given.device or ("cpu" if given.tiny else "cuda"),
        out=given.out or (None if given.tiny else DEFAULT_OUT),
        merge=tuple(given.merge),
        budget_s=given.budget_s,
        repeats=given.repeats,
        compiled=given.compile,
        compile_mode=given.compile_mode,
        attention=given.attention,
        stacked=given.guidance == "stacked",
        zero_cond_t=given.zero_cond_t,
        commit=given.commit,
    )


def _names(
    parser: argparse.ArgumentParser, option: str, given: str, known: tuple[str, ...]
) -> tuple[str, ...]:
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"{option}: {', '.join(unknown)} is none of {', '.join(known)}")
    return names
