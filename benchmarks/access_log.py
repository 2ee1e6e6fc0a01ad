"""How long each deployment says a request took, from Ray Serve's own access logs."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

_LINE = re.compile(
    r"qwen-edit_(?P<deployment>\w+) \S+ (?P<request>\S+) -- "
    r"(?P<kind>CALL|POST|GET) (?P<method>\S+) \S+ (?P<ms>[\d.]+)ms$"
)

Calls = dict[str, float]
"""Seconds by ``Deployment.method``; for the ingress, ``Ingress``."""


def read_calls(folder: Path, prefix: str) -> dict[str, Calls]:
    """Read the calls of every request whose id starts with ``prefix``, by request id.

    The id that a client sends as ``x-request-id`` is logged by all deployments on the
    request's way, and each logs the time from taking a call to answering it.
    """
    requests: dict[str, Calls] = defaultdict(lambda: defaultdict(float))
    for file in sorted(folder.glob("replica_*.log")):
        for line in file.read_text(errors="replace").splitlines():
            found = _LINE.search(line)
            if found is None or not found["request"].startswith(prefix):
                continue
            name = found["deployment"]
            if found["kind"] == "CALL":
                name = f"{name}.{found['method']}"
            requests[found["request"]][name] += float(found["ms"]) / 1000
    return requests
