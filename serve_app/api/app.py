"""The FastAPI application, made from the parts it answers for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from serve_app import __version__
from serve_app.api.body_limit import BodyLimitMiddleware
from serve_app.api.context import Context
from serve_app.api.error_responses import EXCEPTION_HANDLERS, UnexpectedErrorMiddleware
from serve_app.api.request_counting import RequestCounter, RequestCountingMiddleware
from serve_app.api.request_id import RequestIdMiddleware
from serve_app.api.routes import ROUTERS
from serve_app.api.service import EditService, Jobs, Monitor, Workflows
from serve_app.config import ServiceConfig
from serve_app.images.decode_pool import DecodePool
from serve_app.monitoring.reporter import Reporter
from serve_app.storage.files import FileStore
from serve_app.storage.results import ResultStore


def create_app(
    service: EditService,
    jobs: Jobs,
    *,
    workflows: Workflows,
    monitor: Monitor,
    reporter: Reporter,
    files: FileStore,
    results: ResultStore,
    decoder: DecodePool,
    config: ServiceConfig,
    request_id_in_headers: bool = True,
    counters: Sequence[RequestCounter] = (),
) -> FastAPI:
    """Make the application; whoever calls it starts and closes the parts.

    ``reporter`` counts the requests, and reports while the application runs; so do ``counters``,
    which report by themselves.
    ``request_id_in_headers`` is false behind a server that sends ``x-request-id`` itself.
    """
    context = Context(
        service=service,
        jobs=jobs,
        workflows=workflows,
        monitor=monitor,
        files=files,
        results=results,
        decoder=decoder,
        limits=config.limits,
        jobs_config=config.jobs,
        brand_config=config.brand,
        model_name=config.model.name,
        max_images=config.model.max_images,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        reporter.start()
        await decoder.warm()  # or the first image would wait for its processes
        yield
        await reporter.close()

    app = FastAPI(
        lifespan=lifespan,
        title="qwen-edit-serve",
        summary="Batched, validated image editing with Qwen-Image-Edit.",
        version=__version__,
        redirect_slashes=False,
        exception_handlers=EXCEPTION_HANDLERS,
        # From the outside in: all below have an id, and all that fails below is answered.
        middleware=[
            Middleware(RequestCountingMiddleware, counters=(reporter, *counters)),
            Middleware(RequestIdMiddleware, in_headers=request_id_in_headers),
            Middleware(UnexpectedErrorMiddleware),
            Middleware(BodyLimitMiddleware, max_bytes=config.limits.body_bytes),
        ],
    )
    for router in ROUTERS:
        app.include_router(router(context))
    return app
