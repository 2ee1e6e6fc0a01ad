"""The run on Ray: the source, the loaders, the editors, and what they call."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from serve_app.bulk.actors import DeskActor, ValidatorActor
from serve_app.bulk.desk import DeskOptions, MaxErrors, Stopped, Tally
from serve_app.bulk.forgetting import forget_blocks
from serve_app.bulk.pending import Pending
from serve_app.bulk.stages import EditRows, Handles, LoadRows, RowSource
from serve_app.config import Actors, ServiceConfig
from serve_app.errors import ConfigurationError, PartFailed
from serve_app.storage.shared_cache import SharedCache

logger = logging.getLogger(__name__)

_SOURCE_CPUS = 0.05
_LOADED_AHEAD = 4
"""Rows that each loader has in hand."""


@contextmanager
def connected(config: ServiceConfig, address: str | None) -> Iterator[None]:
    """Ray while the body runs: the cluster at ``address``, or one of this process alone.

    A program that is connected already stays so. Raises ``ConfigurationError`` if there is no
    such cluster, or if this machine has fewer GPUs than the editors need.
    """
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            # Shares of CPUs are only Ray's bookkeeping: a small machine must not wait for ever.
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, math.ceil(_cpus(config))),
                include_dashboard=False,
                object_store_memory=config.bulk.object_store_bytes,
                **quiet,
            )
            _require_gpus(config.bulk.editors)
        else:
            _join(address, quiet)
        yield
    finally:
        ray.shutdown()


def _join(address: str, quiet: dict[str, Any]) -> None:
    if address.startswith("ray://"):
        raise ConfigurationError(
            "Ray's client (ray://) will not do: run it on a node of the cluster, as a job.",
            "address",
        )
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        logger.error("Ray at %s can't be joined: %s", address, error)
        raise ConfigurationError(
            f"There is no Ray cluster at {address}. Start one, or leave --address out.", "address"
        ) from error


def _cpus(config: ServiceConfig) -> float:
    bulk = config.bulk
    return _SOURCE_CPUS + sum(
        pool.number * pool.num_cpus for pool in (bulk.editors, bulk.loaders, bulk.validators)
    )


def lacking(config: ServiceConfig) -> str:
    """What a cluster that may still grow lacks for the run, in words; empty if nothing."""
    editors, there = config.bulk.editors, ray.cluster_resources()
    wanted = {"GPU": editors.number * editors.num_gpus, "CPU": _cpus(config)}
    short = [
        f"{amount:g} {kind}s, of which it has {there.get(kind, 0.0):g}"
        for kind, amount in wanted.items()
        if amount > there.get(kind, 0.0)
    ]
    return " and ".join(short)


def _require_gpus(editors: Actors) -> None:
    wanted, there = editors.number * editors.num_gpus, ray.cluster_resources().get("GPU", 0.0)
    if wanted > there:
        raise ConfigurationError(
            f"{editors.number} editors need {wanted:g} GPUs, and there are {there:g}. Change "
            "`bulk.editors`.",
            "bulk.editors",
        )


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be run, and where it goes."""

    root: str
    out: str
    pending: Pending
    max_errors: MaxErrors


class Pipeline:
    """One pass over the pending rows; it runs in the background from its creation on."""

    def __init__(self, config: ServiceConfig, work: Work) -> None:
        bulk = config.bulk
        window = bulk.editors.number * config.bulk_in_flight + bulk.loaders.number * _LOADED_AHEAD
        options = DeskOptions(work.pending.last, window, bulk.lives, work.max_errors)
        self._desk = _beside_the_driver(DeskActor).remote(os.getpid(), work.out, options)
        validators = [
            ray.remote(ValidatorActor)
            .options(num_cpus=bulk.validators.num_cpus, max_restarts=-1)
            .remote(config.quality, self._desk)
            for _ in range(bulk.validators.number)
        ]
        cache = None
        if bulk.editors.number > 1:
            cache = _beside_the_driver(SharedCache).remote(config.cache, config.storage.folder)
        self._actors = [self._desk, *validators, *([] if cache is None else [cache])]
        handles = Handles(self._desk, validators, cache)
        self._pending = work.pending
        self._dataset = _dataset(config, work, handles)
        self._pool = ThreadPoolExecutor(1, "bulk")
        self._running: Future[None] = self._pool.submit(self._run)

    def tally(self) -> Tally:
        """How far it is; raises ``PartFailed`` if the desk is gone."""
        tally: Tally = self._asked(self._desk.tally)
        return tally

    def _asked(self, method: Any) -> Any:
        try:
            return ray.get(method.remote())
        except RayError as error:
            raise PartFailed(
                "The process that keeps the ledger is gone; Ray's logs say why. What has ended "
                "is kept: the same command goes on from there."
            ) from error

    def stop(self) -> None:
        """Hand out no more rows; ``ended`` is true once those at the editors are done."""
        self._desk.stop.remote(Stopped.INTERRUPTED)

    def left(self) -> Pending:
        """The rows of this pass that have not ended."""
        done = np.frombuffer(self._asked(self._desk.done), np.uint8)
        return self._pending.without(np.flatnonzero(done))

    def ended(self, within_s: float) -> bool:
        """Whether it has ended, or does so within a time.

        Raises what kept rows from ending, or ``PartFailed`` if Ray could not go on.
        """
        if not wait([self._running], within_s).done:
            return False
        try:
            self._running.result()
        except (WorkerCrashedError, NodeDiedError, OutOfMemoryError):
            logger.warning("the process that hands out rows died; they are handed out anew")
        except Exception as error:
            raise self.tally().trouble or PartFailed(
                "Ray could not go on with this run; its logs say why. What has ended is kept: "
                "the same command goes on from there."
            ) from error
        return True

    def close(self) -> None:
        """Let go of its actors; what Ray Data has goes with the last rows."""
        for actor in self._actors:
            ray.kill(actor)

    def _run(self) -> None:
        for _ in self._dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
            pass


def _dataset(config: ServiceConfig, work: Work, handles: Handles) -> ray.data.Dataset:
    bulk = config.bulk
    context = DataContext.get_current()
    context.enable_progress_bars = False  # there is one of our own
    context.issue_detectors_config.detectors = []  # its advice is for who builds pipelines
    forget_blocks(context)
    context.target_max_block_size = 1  # bytes: every row is a block of its own
    source = RowSource(work.out, work.pending, handles.desk)
    rows = ray.data.read_datasource(
        source,
        override_num_blocks=1,
        num_cpus=_SOURCE_CPUS,
        # Started anew it would hand out other rows, of which Ray drops as many as it had.
        ray_remote_args={"max_retries": 0, "scheduling_strategy": _here()},
    )
    loaded = rows.map_batches(
        LoadRows,
        fn_constructor_args=(work.root, config, handles.desk),
        **_pool(bulk.loaders, _LOADED_AHEAD),
    )
    return loaded.map_batches(
        EditRows,
        fn_constructor_args=(config, work.out, handles),
        **_pool(bulk.editors, config.bulk_in_flight),
    )


def _pool(actors: Actors, at_once: int) -> dict[str, Any]:
    """Options of a stage with a fixed number of actors, each with so many rows at once."""
    return {
        "batch_size": None,
        "batch_format": "pyarrow",
        "compute": ActorPoolStrategy(
            size=actors.number,
            max_concurrent_calls_per_actor=at_once,
            max_tasks_in_flight_per_actor=at_once,
        ),
        "num_cpus": actors.num_cpus,
        "num_gpus": actors.num_gpus,
    }


def _beside_the_driver(actor: Any) -> Any:
    """An actor on the driver's node: where the output may be a folder, and Ray's head is."""
    return ray.remote(actor).options(num_cpus=0, scheduling_strategy=_here())


def _here() -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
