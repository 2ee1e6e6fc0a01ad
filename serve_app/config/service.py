"""The whole service, and which settings go together."""

from typing import Self

from pydantic import model_validator

from serve_app.config.brand import BrandConfig
from serve_app.config.bulk import BulkConfig
from serve_app.config.deployments import DeploymentsConfig
from serve_app.config.engine import EngineConfig
from serve_app.config.jobs import JobsConfig
from serve_app.config.limits import LimitsConfig
from serve_app.config.model import ModelConfig
from serve_app.config.monitor import MonitorConfig
from serve_app.config.planning import PlanningConfig
from serve_app.config.quality import QualityConfig
from serve_app.config.section import Section
from serve_app.config.storage import CacheConfig, StorageConfig


class ServiceConfig(Section):
    """The whole service: the `args` of a Serve application."""

    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    limits: LimitsConfig = LimitsConfig()
    planning: PlanningConfig = PlanningConfig()
    cache: CacheConfig = CacheConfig()
    storage: StorageConfig = StorageConfig()
    quality: QualityConfig = QualityConfig()
    jobs: JobsConfig = JobsConfig()
    monitor: MonitorConfig = MonitorConfig()
    brand: BrandConfig = BrandConfig()
    bulk: BulkConfig = BulkConfig()
    deployments: DeploymentsConfig = DeploymentsConfig()

    @property
    def asks_model(self) -> bool:
        """Whether anybody would put questions to the editors' text encoder."""
        return self.planning.ask_model or self.quality.judge.kind == "text_encoder"

    @model_validator(mode="after")
    def _editors_can_refuse(self) -> Self:
        if self.deployments.editor.max_ongoing_requests <= self.engine.max_pending:
            raise ValueError(
                "`deployments.editor.max_ongoing_requests` must be above `engine.max_pending`, or "
                "requests would queue without end instead of being refused"
            )
        return self

    @property
    def bulk_in_flight(self) -> int:
        """Rows of a bulk run that are in an editor at once."""
        return max(
            self.engine.max_batch_size, self.bulk.in_flight or 4 * self.engine.max_batch_size
        )

    @model_validator(mode="after")
    def _watchers_leave_room(self) -> Self:
        if self.jobs.watchers >= self.deployments.ingress.max_ongoing_requests:
            raise ValueError(
                "`jobs.watchers` must be below `deployments.ingress.max_ongoing_requests`, or "
                "nobody could send a request while so many watch"
            )
        return self

    @model_validator(mode="after")
    def _all_of_n_fit_the_queue(self) -> Self:
        if self.limits.max_n > self.engine.max_pending_of_one:
            raise ValueError(
                "`limits.max_n` must be at most seven eighths of `engine.max_pending`, which one "
                "tenant may hold, or some requests could never be taken in"
            )
        return self

    @model_validator(mode="after")
    def _compiled_blocks_stay_as_they_are(self) -> Self:
        if not self.engine.acceleration.compile:
            return self
        memory = self.model.memory
        if memory.offload == "group" or memory.float8_storage:
            raise ValueError(
                "`engine.acceleration.compile` does not work with `model.memory.offload: group` "
                "or `float8_storage`, which move or cast weights inside the compiled blocks"
            )
        if self.model.adapters.folder is not None:
            raise ValueError(
                "`engine.acceleration.compile` does not work with `model.adapters`: every "
                "adapter and every scale would compile again, in the middle of edits"
            )
        if self.model.drafts is not None:
            raise ValueError(
                "`engine.acceleration.compile` does not work with `model.few_step.use: drafts`, "
                "whose adapter is switched on and off inside the compiled blocks: choose one"
            )
        return self
