"""Jobs over the whole service in one process, on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serve_app.config import JobsConfig, ServiceConfig, WebhooksConfig
from serve_app.engine.engine import Engine
from serve_app.images.encoding import encode
from serve_app.images.pixels import DecodedImage
from serve_app.storage.blobs import BlobStore
from serve_app.storage.files import FileStore
from serve_app.storage.results import ResultStore
from serve_app.workflows.in_process import assemble
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.plan import JobKind, JobPlan, StepPlan
from serve_app.workflows.jobs.service import JobService
from serve_app.workflows.ports import Editor
from tests.conftest import photo
from tests.workflows.jobs.postgres import TEMPLATE, Postgres, running_postgres
from tests.workflows.jobs.prepared import prepare, put_sqlite


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of this session's own."""
    with running_postgres() as server:
        prepare(server.url(TEMPLATE), Path())
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The setting `jobs.database`, of an empty database."""
    if request.param == "sqlite":
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@dataclass
class Jobs:
    """A service that can be left and started again on the same storage."""

    config: ServiceConfig
    engine: Engine

    @asynccontextmanager
    async def running(
        self, editor: Editor | None = None, **settings: Any
    ) -> AsyncIterator[JobService]:
        jobs = self.config.jobs.model_copy(update=settings)
        config = self.config.model_copy(update={"jobs": jobs})
        gateway = assemble(config, editor or self.engine)
        service = JobService(config, gateway, gateway.forget)
        service.start()
        await service.launched()
        try:
            yield service
        finally:
            await service.close()

    @property
    def files(self) -> FileStore:
        return FileStore(BlobStore(self.config.storage.root))

    @property
    def results(self) -> ResultStore:
        return ResultStore(BlobStore(self.config.storage.root))

    async def store(self, name: str = "coffee", size: tuple[int, int] = (96, 64)) -> str:
        image = DecodedImage.of(photo(name, size))
        await self.files.put(image.id, encode(image.pixels))
        return image.id


@pytest.fixture
def jobs(config: ServiceConfig, engine: Engine, tmp_path: Path) -> Jobs:
    """Jobs on SQLite."""
    put_sqlite(tmp_path)
    return Jobs(_fast(config, None), engine)


@pytest.fixture
def jobs_anywhere(
    config: ServiceConfig, engine: Engine, database: str | None, tmp_path: Path
) -> Jobs:
    """Jobs on SQLite, and on Postgres."""
    put_sqlite(tmp_path)
    return Jobs(_fast(config, database), engine)


def _fast(config: ServiceConfig, database: str | None) -> ServiceConfig:
    webhooks = WebhooksConfig(hosts=("127.0.0.1",), pauses_s=(0.05, 0.05))
    jobs = JobsConfig(database=database, poll_s=0.02, watch_s=0.2, webhooks=webhooks)
    return config.model_copy(update={"jobs": jobs})


def chain(image: str, *prompts: str, **options: Any) -> JobPlan:
    """A chain of edits of ``image``."""
    steps = tuple(StepPlan({"prompt": prompt}) for prompt in prompts)
    return JobPlan(JobKind.CHAIN, steps, images=(image,), **options)


def edits(*items: tuple[str, str], **options: Any) -> JobPlan:
    """A job of edits, each an image and a prompt."""
    steps = tuple(StepPlan({"prompt": prompt}, (image,)) for image, prompt in items)
    return JobPlan(JobKind.EDIT, steps, **options)


async def ended(service: JobService, job_id: str) -> Job:
    """Watch a job to its end."""
    async for _ in service.events(job_id, 0):
        pass
    return await service.get(job_id)
