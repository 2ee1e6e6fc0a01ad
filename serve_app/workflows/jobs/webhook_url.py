"""Which URLs may be told that a job has ended.

Those on configured hosts, so that no job makes the service call what only it can reach.
"""

from __future__ import annotations

from collections.abc import Sequence

import httpx

_PORTS = {"http": 80, "https": 443}


def may_be_called(url: str, hosts: Sequence[str]) -> bool:
    """Whether ``url`` is http or https on one of ``hosts``, each a ``name`` or ``name:port``."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return False
    if parts.scheme not in _PORTS or parts.userinfo:
        return False
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    allowed = {host.lower() for host in hosts}
    return 0 < port < 65_536 and not allowed.isdisjoint((parts.host, f"{parts.host}:{port}"))
