"""What every group of routes works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from serve_app.api.service import EditService, Jobs, Monitor, Workflows
from serve_app.config import BrandConfig, JobsConfig, LimitsConfig
from serve_app.images.decode_pool import DecodePool
from serve_app.storage.files import FileStore
from serve_app.storage.results import ResultStore


class Bounds(Protocol):
    """What a job may ask for: all of the context that reading one needs."""

    @property
    def limits(self) -> LimitsConfig: ...

    @property
    def jobs_config(self) -> JobsConfig: ...

    @property
    def brand_config(self) -> BrandConfig: ...

    @property
    def max_images(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Context:
    """The parts behind the routes, made once by whoever builds the application.

    ``model_name`` is the one name requests may ask for; ``max_images`` is how many input
    images a request may have, unless the loaded model takes fewer.
    """

    service: EditService
    jobs: Jobs
    workflows: Workflows
    monitor: Monitor
    files: FileStore
    results: ResultStore
    decoder: DecodePool
    limits: LimitsConfig
    jobs_config: JobsConfig
    brand_config: BrandConfig
    model_name: str
    max_images: int
