"""`python -m benchmarks.gpu`: see `--help`."""

from __future__ import annotations

import sys

from benchmarks.gpu.options import parse

if __name__ == "__main__":
    options = parse()
    from benchmarks.gpu.run import run  # imports torch and diffusers

    sys.exit(run(options))
