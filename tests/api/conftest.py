"""The application with real stores and a real decoder, and a fake of the GPU side."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from serve_app.api.app import create_app
from serve_app.config import (
    JobsConfig,
    LimitsConfig,
    ModelConfig,
    QualityConfig,
    ServiceConfig,
    StorageConfig,
    WebhooksConfig,
)
from serve_app.edits.model import AdapterDescription, FewStepDrafts, ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditRequest
from serve_app.edits.result import (
    CacheStatus,
    Completed,
    EditEvent,
    EditOutcome,
    EditResult,
    PartialImage,
    Progress,
    Waiting,
)
from serve_app.errors import NoAnswer, NotReady
from serve_app.images.decode_pool import DecodePool
from serve_app.images.encoding import encode
from serve_app.monitoring.gpus import GpuReader
from serve_app.monitoring.machine import Machine
from serve_app.monitoring.monitor import ServiceMonitor
from serve_app.monitoring.reporter import Reporter
from serve_app.quality.annotation import Judged, judge
from serve_app.quality.case import Case
from serve_app.quality.validator import Validator
from serve_app.storage.blobs import BlobStore
from serve_app.storage.files import FileStore
from serve_app.storage.results import ResultStore, new_result_id
from serve_app.workflows.jobs.service import JobService
from tests.images.containers import photo, saved
from tests.workflows.jobs.prepared import put_sqlite

LIMITS = LimitsConfig()
JOBS = JobsConfig(
    poll_s=0.02,
    watchers=5,
    webhooks=WebhooksConfig(hosts=("127.0.0.1",), pauses_s=(0.05,)),
)
MODEL = "qwen-image-edit"
STEPS = 3
ADAPTER = AdapterDescription("watercolor.v2", "a" * 64, 1234)


class FakeGpuService:
    """Stands for the GPU side behind the HTTP surface: edits invert the first image.

    ``block`` holds edits until it is set; ``failure`` is raised instead of an outcome,
    by streams after ``fail_after`` events. ``waits`` are a stream's first events, and
    ``eta_s`` the estimate of each step. ``requests``, ``finished`` and ``cancelled`` tell
    what was run. ``questions`` are answered with ``replies``, in turn.
    """

    def __init__(self, results: ResultStore) -> None:
        self._results = results
        self.renew()

    def renew(self) -> None:
        """As if nobody had asked for anything."""
        self.requests: list[EditRequest] = []
        self.finished = 0
        self.cancelled = 0
        self.started = asyncio.Event()
        self.block: asyncio.Event | None = None
        self.failure: Exception | None = None
        self.fail_after = 0
        self.fail_seed: int | None = None
        self.warm = True
        self.max_images = 4
        self.waits: list[Waiting] = []
        self.eta_s: float | None = None
        self.forgotten: list[str] = []
        self.questions: list[Question] = []
        self.replies: list[Reply] = []

    async def edit(self, request: EditRequest) -> EditOutcome:
        self.requests.append(request)
        self.started.set()
        if self.failure is not None and self.fail_seed in (None, request.seed):
            raise self.failure
        try:
            if self.block is not None:
                await self.block.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        outcome = await self._outcome(request)
        self.finished += 1
        return outcome

    async def stream(
        self, request: EditRequest, partial_images: int
    ) -> AsyncGenerator[EditEvent, None]:
        self.requests.append(request)
        try:
            for count, event in enumerate(self._events(request, partial_images)):
                if self.failure is not None and count == self.fail_after:
                    raise self.failure
                yield event
                self.started.set()
                if self.block is not None:
                    await self.block.wait()
            yield Completed(await self._outcome(request))
            self.finished += 1
        finally:
            self.cancelled += self.finished == 0

    async def model(self) -> ModelDescription:
        if not self.warm:
            raise NotReady("No editor is warm yet.", None, 2.5)
        return ModelDescription(
            MODEL,
            "plus",
            "r" * 40,
            True,
            self.max_images,
            "float32",
            "cpu",
            (ADAPTER,),
            ("recolour an object",),
            drafts=FewStepDrafts(4, 1.0),
        )

    async def ready(self) -> bool:
        return self.warm

    async def ask(self, question: Question) -> Reply:
        self.questions.append(question)
        if not self.replies:
            raise NoAnswer("The model can't be asked.")
        return self.replies.pop(0)

    async def forget(self, key: str) -> None:
        self.forgotten.append(key)

    async def validate(self, case: Case, picture: bool) -> Judged:
        return judge(Validator(QualityConfig()), case, picture)

    def _events(self, request: EditRequest, partial_images: int) -> Iterator[EditEvent]:
        yield from self.waits
        for step in range(1, STEPS + 1):
            yield Progress(attempt=1, step=step, total=STEPS, eta_s=self.eta_s)
        for index in range(partial_images):
            yield PartialImage(attempt=1, index=index, png=encode(request.images[0].pixels))

    async def _outcome(self, request: EditRequest) -> EditOutcome:
        pixels = 255 - request.images[0].pixels
        seed = request.seed if isinstance(request.seed, int) else 1000 + request.variation
        result = EditResult(
            id=new_result_id(),
            png=encode(pixels),
            width=pixels.shape[1],
            height=pixels.shape[0],
            seed=seed,
            verdict="pass",
            attempts=1,
            metadata={
                "seed": seed,
                "prompt": request.prompt,
                "content_key": f"key of {seed}",
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "verdict": "pass",
                "attempts": [{}],
            },
        )
        await self._results.put(result)
        return EditOutcome(result, CacheStatus.MISS)


@dataclass(frozen=True)
class Surface:
    """The application under test and what stands behind it."""

    app: FastAPI
    service: FakeGpuService
    client: httpx.AsyncClient
    files: FileStore
    results: ResultStore
    jobs: JobService
    reporter: Reporter

    async def edit(self, *parts: tuple[str, object], **fields: object) -> httpx.Response:
        """POST a form; ``parts`` come on top of one good image unless any are given."""
        files = parts or (("image", ("photo.png", PHOTO)),)
        return await self.client.post(
            "/v1/images/edits",
            files=list(files),  # type: ignore[arg-type]
            data={"prompt": "make it night", **fields},
        )

    async def edit_json(self, **fields: object) -> httpx.Response:
        """POST JSON, with a good image and prompt unless ``fields`` say otherwise."""
        return await self.client.post(
            "/v1/images/edits", json={"image": DATA_URL, "prompt": "make it night", **fields}
        )


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


PHOTO = saved(photo(64, 48), "PNG")
DATA_URL = data_url(PHOTO)


@pytest.fixture(scope="session")
def decoder() -> Iterator[DecodePool]:
    pool = DecodePool(LIMITS)
    yield pool
    pool.close()


@pytest.fixture
async def surface(decoder: DecodePool, tmp_path: Path) -> AsyncIterator[Surface]:
    async with opened(decoder, tmp_path, LIMITS) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_surface(
    decoder: DecodePool, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Surface]:
    """For tests that store nothing."""
    async with opened(decoder, tmp_path_factory.mktemp("surface"), LIMITS) as one:
        yield one


@asynccontextmanager
async def opened(decoder: DecodePool, folder: Path, limits: LimitsConfig) -> AsyncIterator[Surface]:
    put_sqlite(folder)
    blobs = BlobStore(str(folder))
    files, results = FileStore(blobs), ResultStore(blobs)
    service = FakeGpuService(results)
    config = ServiceConfig(
        model=ModelConfig(name=MODEL, max_images=4),
        limits=limits,
        jobs=JOBS,
        storage=StorageConfig(root=str(folder), keep_s=None),
    )
    jobs = JobService(config, service, service.forget)
    monitor = ServiceMonitor(config.monitor, Machine(GpuReader()))
    reporter = Reporter(monitor, config.monitor)
    app = create_app(
        service,
        jobs,
        workflows=jobs.workflows,
        monitor=monitor,
        reporter=reporter,
        files=files,
        results=results,
        decoder=decoder,
        config=config,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://edits.test") as client:
        yield Surface(app, service, client, files, results, jobs, reporter)
    await monitor.close()
    await jobs.close()


def check_error(
    response: httpx.Response, status: int, code: str, param: str | None = None
) -> dict[str, str]:
    """Check the one error body; returns what is under ``error``."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error", "request_id"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert (body["error"]["code"], body["error"]["param"]) == (code, param)
    assert body["request_id"] == response.headers["x-request-id"]
    error: dict[str, str] = body["error"]
    return error
