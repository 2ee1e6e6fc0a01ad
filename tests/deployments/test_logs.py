"""The service's log lines go where Serve's do."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from serve_app.deployments.logs import log_with_serve


class Kept(logging.Handler):
    """Stands for the log file of a replica."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def file() -> Iterator[Kept]:
    """What Serve sets up in a replica, at its level of information; undone afterwards."""
    serve, service = logging.getLogger("ray.serve"), logging.getLogger("serve_app")
    before = [(one, one.handlers, one.level, one.propagate) for one in (serve, service)]
    file = Kept()
    serve.handlers = [file]
    serve.setLevel(logging.INFO)
    yield file
    for one, handlers, level, propagate in before:
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def test_information_of_every_module_is_kept_once(file: Kept) -> None:
    logger = logging.getLogger("serve_app.workflows.re_editing")
    log_with_serve()
    log_with_serve()
    logger.info("a further attempt")
    logger.debug("a detail")
    assert file.messages == ["a further attempt"]
