"""How a job is handed in and named, whichever route does it: once for each key, with 202."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.errors import InvalidRequest, NotFound
from serve_app.workflows.jobs.idempotency import IdempotencyKey
from serve_app.workflows.jobs.job import JOB_ID, Job

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def known_job(job_id: str, param: str | None = None) -> str:
    """``job_id``, if a job can have it; raises ``NotFound``, about the field ``param``."""
    if JOB_ID.fullmatch(job_id) is None:
        raise NotFound("There is no job with this id.", param)
    return job_id


def idempotency_key(request: Request) -> str | None:
    """The key that came with ``request``, if any; raises ``InvalidRequest``."""
    header = request.headers.get("idempotency-key")
    if header is not None and _KEY.fullmatch(header) is None:
        raise InvalidRequest(
            "`Idempotency-Key` must be 1 to 255 letters, digits or signs.", "Idempotency-Key"
        )
    return header


def bound(key: str | None, asked: Mapping[str, Any]) -> IdempotencyKey | None:
    """``key`` for what was asked for with it."""
    return None if key is None else IdempotencyKey.of(key, asked)


def accepted(job: Job) -> Response:
    """The answer that has the job, and says where it is."""
    return JSONResponse(job.to_json(), 202, {"location": f"/v1/jobs/{job.id}"})
