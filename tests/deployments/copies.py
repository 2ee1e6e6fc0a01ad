"""What Serve copies into processes that may lack this package."""

from __future__ import annotations

import subprocess
import sys


def printed_of_copy(pickled: bytes, code: str) -> bytes:
    """What ``code`` prints where ``copy`` is unpickled and this package can't be imported."""
    begin = (
        "import sys; sys.modules['serve_app'] = None; from ray import cloudpickle;"
        "copy = cloudpickle.loads(sys.stdin.buffer.read());"
    )
    run = subprocess.run(
        [sys.executable, "-c", begin + code], input=pickled, capture_output=True, check=True
    )
    return run.stdout
