"""Where the service's own log lines go in a replica, and what no line may say."""

from __future__ import annotations

import logging
import traceback


def log_with_serve() -> None:
    """Send the service's lines where Serve's own go, at its level: the replica's log file.

    Ray sets no handler for other loggers, so that only their warnings would be seen. Serve adds
    the id of the request that a line belongs to, and writes JSON where ``logging_config`` asks
    for it.
    """
    serve, service = logging.getLogger("ray.serve"), logging.getLogger("serve_app")
    serve.addFilter(_without_messages)  # Serve makes new handlers when `logging_config` changes
    for handler in serve.handlers:
        handler.addFilter(_without_messages)  # once, however often
    service.setLevel(serve.level)
    service.handlers = list(serve.handlers)
    service.propagate = not serve.handlers


def _without_messages(record: logging.LogRecord) -> bool:
    """Let every line pass, but of a failure only its type and its place.

    Serve logs whatever a replica raises. The message of a library's error, and of one that caused
    ours, may quote the prompt.
    """
    if record.exc_info and record.exc_info[0] is not None:
        kind, _, frames = record.exc_info
        record.exc_text = f"{''.join(traceback.format_tb(frames))}{kind.__name__}"
    return True
