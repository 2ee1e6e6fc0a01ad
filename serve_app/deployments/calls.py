"""Calls between deployments, with Ray's failures translated into the error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.errors import EditServiceError, NotReady, Overloaded


class ReplicaLost(NotReady):
    """503: the replica that worked on the request died; another may take it."""

    code = "replica_lost"


@contextmanager
def translated(part: str) -> Iterator[None]:
    """Raise our own errors for whatever goes wrong in a call to ``part``."""
    try:
        yield
    except RayTaskError as error:
        # Ray wraps what a replica raises; the caller should see the original.
        if isinstance(error.cause, EditServiceError):
            raise error.cause from None
        raise
    except RayActorError as error:
        raise ReplicaLost(
            f"The {part} stopped while it worked on this. Send the request again.", None, 1.0
        ) from error
    except BackPressureError as error:
        raise Overloaded(f"The {part} is busy. Send the request again later.", None, 1.0) from error
    except DeploymentUnavailableError as error:
        raise NotReady(f"The {part} is not available yet.", None, 5.0) from error
