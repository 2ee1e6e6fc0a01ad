"""Jobs whose steps don't build on each other: edits, variants of one picture, brand sets."""

from __future__ import annotations

from functools import partial

from serve_app.config import BrandConfig
from serve_app.storage.files import FileStore
from serve_app.workflows.jobs.catalogue import Catalogue
from serve_app.workflows.jobs.durable import Step, all_once
from serve_app.workflows.jobs.ending import Ending, failure_of, step_name
from serve_app.workflows.jobs.formats import Formats
from serve_app.workflows.jobs.inputs import Inputs
from serve_app.workflows.jobs.insisting import insist
from serve_app.workflows.jobs.job import Job, JobState
from serve_app.workflows.jobs.plan import JobKind
from serve_app.workflows.jobs.step import StepRunner

_ARMS = 2
"""A test needs so many variants, or there is nothing to compare."""


class IndependentRunner:
    """Runs all steps of a job, some at a time.

    A rejected result counts where a person looks at each edit, but not as a variant, and no
    format is made of it.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        steps: StepRunner,
        inputs: Inputs,
        files: FileStore,
        config: BrandConfig,
    ) -> None:
        self._catalogue = catalogue
        self._steps = steps
        self._inputs = inputs
        self._files = files
        self._config = config

    async def run(self, job: Job) -> Ending | None:
        """The job has succeeded if any step has, a job of variants if two have.

        ``None`` if the job is not wanted any more.
        """
        formats = self._formats(job)
        steps = [
            (step_name(index), self._step(job, index, formats)) for index in range(job.step_count)
        ]
        await all_once(steps, job.plan.at_once)
        records = await insist(lambda: self._catalogue.steps(job.id))
        if not records or not all(record.state.final for record in records):
            return None
        done = [record for record in records if record.state is JobState.SUCCEEDED]
        if len(done) < (_ARMS if job.kind is JobKind.VARIANTS else 1):
            failed = next(record for record in records if record.state is not JobState.SUCCEEDED)
            return Ending(JobState.FAILED, error=failure_of(failed))
        return Ending(JobState.SUCCEEDED, done[0].result if len(records) == 1 else None)

    def _step(self, job: Job, index: int, formats: Formats | None) -> Step:
        return partial(
            self._steps.run,
            job,
            index,
            job.plan.steps[index].images or job.plan.images,
            accept=job.kind is not JobKind.EDIT,
            settle=None if formats is None else partial(formats.make, index),
        )

    def _formats(self, job: Job) -> Formats | None:
        brand_set = job.plan.brand_set
        if brand_set is None:
            return None
        return Formats(job, brand_set, self._catalogue, self._inputs, self._files, self._config)
