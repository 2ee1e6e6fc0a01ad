"""Device loops for tests."""

from __future__ import annotations

from benchmarks.policies import ProcessorSharing
from serve_app.config import EngineConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.load import Checkpoint


def in_turns(checkpoint: Checkpoint, limit: int) -> DeviceLoop:
    """A loop whose batches can be told beforehand: everybody joins at the next step.

    Up to ``limit`` requests share a step, groups that can't take turns, and newcomers are
    encoded between the steps.
    """
    config = EngineConfig(max_batch_size=limit)
    return DeviceLoop(checkpoint, config, ProcessorSharing(limit), beside=False)
