"""The service's log lines go where Serve's do."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from serve_app.deployments.logs import log_with_serve
from serve_app.errors import NotReady


class Kept(logging.Handler):
    """Stands for the log file of a replica."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.lines.append(self.format(record))


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


def test_a_failure_is_logged_without_what_it_says(file: Kept) -> None:
    secret = "a wish of nobody's but the user's"
    log_with_serve()
    for logger in ("ray.serve", "serve_app.workflows.edit"):
        try:
            try:
                raise KeyError(secret)
            except KeyError as cause:
                raise NotReady(secret) from cause
        except NotReady:
            logging.getLogger(logger).exception("Request failed.")
    assert len(file.lines) == 2
    for line in file.lines:
        assert secret not in line
        assert line.startswith("Request failed.\n")
        assert line.endswith("\nNotReady")
        assert "test_a_failure_is_logged_without_what_it_says" in line
