"""What commands that ask a service share: a client, and its errors told plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serve_app.terminal import told_plainly

if TYPE_CHECKING:
    from serve_app.client import Client


@contextmanager
def asking(url: str) -> Iterator[Client]:
    """A client of the service at ``url``; what it is refused ends the command."""
    from serve_app.client import Client  # where it is used, so that `--help` stays fast

    with told_plainly(), Client(url) as client:
        yield client
