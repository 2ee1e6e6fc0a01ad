"""Adapters in memory: who stays, who leaves, and what a failure leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from serve_app.config import AdaptersConfig
from serve_app.edits.request import LoraUse
from serve_app.engine.adapters import Adapters
from serve_app.engine.load import Checkpoint
from tests.engine.adapters.pipelines import (
    WIDE,
    A,
    B,
    alone,
    forward,
    fresh,
    shape_of,
)


def test_a_failed_injection_leaves_the_transformer_as_it_was(
    pipeline: Any, adapters: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, shape = forward(pipeline), shape_of(pipeline)
    linear = torch.nn.Linear.__init__

    def fail(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    def fail_later(made: Iterator[int]) -> Callable[..., None]:
        def init(*args: Any, **kwargs: Any) -> None:
            if next(made) == 5:
                fail()
            linear(*args, **kwargs)

        return init

    for before in (None, B):
        adapters.activate(before)
        adapters.activate(None)
        shape = shape_of(pipeline)
        for where, name, broken in (
            (torch.nn.Linear, "__init__", fail_later(iter(range(1000)))),
            (torch.nn.Module, "load_state_dict", fail),
        ):
            held = adapters.loaded_bytes
            with monkeypatch.context() as patched:
                patched.setattr(where, name, broken)
                with pytest.raises(torch.OutOfMemoryError):
                    adapters.activate(A)
            assert shape_of(pipeline) == shape
            assert adapters.loaded_bytes == held
            assert torch.equal(forward(pipeline), plain)
    adapters.activate(A)
    assert not torch.equal(forward(pipeline), plain)


def test_an_adapter_in_use_stays_and_another_waits(pipeline: Any, folder: Path) -> None:
    adapters = alone(pipeline, folder, "wide")
    adapters.hold(WIDE)
    adapters.hold(WIDE)
    adapters.activate(WIDE)
    with_wide = forward(pipeline)
    adapters.release(WIDE)
    assert adapters.has_room("wide")
    assert not adapters.has_room("a")
    with pytest.raises(RuntimeError, match="room"):
        adapters.activate(A)
    adapters.activate(WIDE)
    assert torch.equal(forward(pipeline), with_wide)
    adapters.release(WIDE)
    assert adapters.has_room("a")
    adapters.activate(A)
    with pytest.raises(ValueError, match="more often"):
        adapters.release(WIDE)


def test_bytes_are_those_of_the_tensors(pipeline: Any, adapters: Adapters) -> None:
    before = sum(it.nbytes for it in pipeline.transformer.parameters())
    for use in (A, WIDE, B):
        adapters.activate(use)
        now = sum(it.nbytes for it in pipeline.transformer.parameters())
        assert adapters.loaded_bytes == now - before
    assert adapters.loaded_bytes == sum(it.nbytes for it in adapters.descriptions)
    assert not any(it.requires_grad for it in pipeline.transformer.parameters())


def test_other_threads_may_read_and_hold_while_one_activates(
    pipeline: Any, adapters: Adapters
) -> None:
    plain = forward(pipeline)
    uses = {"a": A, "b.v1-x": B, "wide": WIDE}

    def ahead(name: str) -> None:
        for _ in range(20):
            adapters.hold(uses[name])
            adapters.read(name)
            assert adapters.has_room(name)
            adapters.release(uses[name])

    with ThreadPoolExecutor(6) as threads:
        work = [threads.submit(ahead, name) for name in (*uses, *uses)]
        for _ in range(5):
            for use in (A, None, WIDE, B):
                adapters.activate(use)
        for each in work:
            each.result()
    adapters.activate(None)
    assert torch.equal(forward(pipeline), plain)
    with pytest.raises(ValueError, match="more often"):
        adapters.release(A)


def test_using_an_adapter_again_makes_it_recent(
    pipeline: Any, folder: Path, tmp_path: Path
) -> None:
    for name in "xyz":
        (tmp_path / f"{name}.safetensors").symlink_to(folder / "a.safetensors")
    size = Adapters(pipeline, AdaptersConfig(folder=tmp_path)).descriptions[0].nbytes
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path, memory_bytes=2 * size))
    for name in "xyxz":  # z takes the place of y
        adapters.activate(LoraUse(name))
    there = {key.split(".")[-2] for key in shape_of(pipeline)[1] if ".lora_A." in key}
    assert there == {"adapter_0000", "adapter_0002"}


class _Uses(RuleBasedStateMachine):
    """Any order of holds, releases and activations, against a list as the model."""

    make: Callable[[], tuple[Any, Adapters]]
    budget: int

    def __init__(self) -> None:
        super().__init__()
        self.pipeline, self.adapters = type(self).make()
        self.sizes = {it.name: it.nbytes for it in self.adapters.descriptions}
        self.uses = {it.name: it for it in (A, B, WIDE)}
        self.held: list[str] = []
        self.recent: list[str] = []

    names = st.sampled_from(["a", "b.v1-x", "wide"])

    @rule(name=names)
    def hold(self, name: str) -> None:
        self.adapters.hold(self.uses[name])
        self.held.append(name)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.held))
        self.adapters.release(self.uses[name])
        self.held.remove(name)

    @rule(name=names)
    def read(self, name: str) -> None:
        self.adapters.read(name)

    @rule()
    def none(self) -> None:
        self.adapters.activate(None)

    @rule(name=names)
    def activate(self, name: str) -> None:
        kept = sum(self.sizes[it] for it in self.recent if it in self.held)
        fits = name in self.recent or kept + self.sizes[name] <= self.budget
        promised = sum(self.sizes[it] for it in set(self.held))  # loaded yet or not
        room = name in self.held or promised + self.sizes[name] <= self.budget
        assert self.adapters.has_room(name) == room
        if not fits:
            with pytest.raises(RuntimeError):
                self.adapters.activate(self.uses[name])
            return
        self.adapters.activate(self.uses[name])
        if name not in self.recent:
            for old in [it for it in self.recent if it not in self.held]:
                if sum(self.sizes[it] for it in (*self.recent, name)) > self.budget:
                    self.recent.remove(old)
        else:
            self.recent.remove(name)
        self.recent.append(name)

    @invariant()
    def there_are_those_of_the_model(self) -> None:
        there = {
            key.split(".lora_A.")[1].removesuffix(".weight")
            for key in self.pipeline.transformer.state_dict()
            if ".lora_A." in key
        }
        keys = {name: f"adapter_{index:04d}" for index, name in enumerate(self.sizes)}
        assert there == {keys[name] for name in self.recent}
        assert self.adapters.loaded_bytes == sum(self.sizes[it] for it in self.recent)
        assert self.adapters.loaded_bytes <= self.budget


def test_the_least_recently_used_leave_and_those_in_use_stay(
    plus: Checkpoint, folder: Path
) -> None:
    sizes = [it.nbytes for it in Adapters(fresh(plus), AdaptersConfig(folder=folder)).descriptions]

    class Uses(_Uses):
        budget = max(sizes) + min(sizes)

        @staticmethod
        def make() -> tuple[Any, Adapters]:
            pipeline = fresh(plus)
            config = AdaptersConfig(folder=folder, memory_bytes=Uses.budget)
            return pipeline, Adapters(pipeline, config)

    run_state_machine_as_test(
        Uses, settings=settings(max_examples=10, stateful_step_count=14, deadline=None)
    )
