"""Telling another service that a job has ended: signed, and again until it answers.

Headers and signature are those of Standard Webhooks (standardwebhooks.com), so that receivers
can check them with its libraries.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import httpx

from serve_app.config import WebhooksConfig
from serve_app.errors import ConfigurationError, NotFound
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.durable import once, pause
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job, shown_time
from serve_app.workflows.jobs.webhook_url import may_be_called

_ANSWERED = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_ENCODED = "whsec_"
"""Before a key in base64, as Standard Webhooks writes them."""


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over id, time and body, joined by dots."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")


def secret_of(config: WebhooksConfig) -> bytes:
    """The key that webhooks are signed with, from the environment; ``whsec_…`` is base64.

    Raises ``ConfigurationError`` if there is none though ``hosts`` may be called.
    """
    text = os.environ.get(config.secret_env, "")
    if not text and config.hosts:
        raise ConfigurationError(
            f"Webhooks are signed: set the environment variable {config.secret_env}, or leave "
            "`jobs.webhooks.hosts` empty.",
            "jobs.webhooks.hosts",
        )
    if not text.startswith(_ENCODED):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_ENCODED), validate=True)
    except binascii.Error:
        raise ConfigurationError(
            f"What follows {_ENCODED} in {config.secret_env} must be base64.",
            "jobs.webhooks.secret_env",
        ) from None


class WebhookSender:
    """Delivers the end of jobs. ``stirred`` is told when the state of a delivery has changed."""

    def __init__(
        self, catalogue: Catalogue, config: WebhooksConfig, stirred: Callable[[str], None]
    ) -> None:
        self._catalogue = catalogue
        self._config = config
        self._secret = secret_of(config)
        self._stirred = stirred

    async def notify(self, job_id: str, run: int) -> None:
        """Tell of a run's end until it is heard or all attempts are used up; a durable run."""
        for number, wait_s in enumerate((0.0, *self._config.pauses_s), 1):
            await pause(wait_s)
            if await self._settled(job_id, run):
                return
            await once(f"attempt {number}", partial(self._attempt, job_id, run, number))

    async def _attempt(self, job_id: str, run: int, number: int) -> None:
        try:
            job = await insist(partial(self._catalogue.job, job_id))
        except NotFound:
            return  # erased
        url = job.plan.webhook
        if url is None or job.run != run:
            return
        # The configuration may have changed since the job was accepted.
        allowed = may_be_called(url, self._config.hosts)
        status, trouble = (
            await self._post(url, job, f"{job_id}.{run}")
            if allowed
            else (None, "the host is not configured any more")
        )
        heard = status is not None and status in _ANSWERED
        last = not allowed or number > len(self._config.pauses_s)
        state = {
            "url": url,
            "state": "delivered" if heard else "failed" if last else "retrying",
            "attempts": number,
            "last_attempt_at": shown_time(time.time()),
            "last_status": status,
            "last_error": trouble,
        }
        await insist(partial(self._catalogue.put_webhook, job_id, run, state))
        self._stirred(job_id)

    async def _settled(self, job_id: str, run: int) -> bool:
        """Whether there is nothing more to tell; read from what is kept, also after a death."""
        try:
            overview = await insist(partial(self._catalogue.overview, job_id))
        except NotFound:
            return True
        state = (overview.webhook or {}).get("state")
        return overview.run != run or state in (None, "delivered", "failed")

    async def _post(self, url: str, job: Job, message_id: str) -> tuple[int | None, str | None]:
        """The status of the answer, or why there is none."""
        body = json.dumps({"type": f"job.{job.state}", "data": job.to_json()}).encode()
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, message_id, timestamp, body),
        }
        try:
            # Nothing is followed: only the host that was asked for is configured. Of the answer
            # only the status is read.
            async with (
                asyncio.timeout(self._config.answer_s),
                httpx.AsyncClient(timeout=self._config.answer_s) as client,
                client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                return answer.status_code, None
        except (TimeoutError, httpx.TimeoutException):
            return None, "no answer in time"
        except (httpx.HTTPError, httpx.InvalidURL):
            return None, "no connection"
