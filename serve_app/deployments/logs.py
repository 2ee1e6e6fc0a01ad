"""Where the service's own log lines go in a replica."""

from __future__ import annotations

import logging


def log_with_serve() -> None:
    """Send the service's lines where Serve's own go, at its level: the replica's log file.

    Ray sets no handler for other loggers, so that only their warnings would be seen.
    """
    serve, service = logging.getLogger("ray.serve"), logging.getLogger("serve_app")
    service.setLevel(serve.level)
    service.handlers = list(serve.handlers)
    service.propagate = not serve.handlers
