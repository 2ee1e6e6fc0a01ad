"""A step that fails, or that does not fit into memory, takes down only whose fault it is."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.config import EngineConfig
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.encode import encode
from serve_app.engine.encoders import Encoders
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import Ticket
from serve_app.errors import EditTooLarge
from tests.engine.loops import in_turns
from tests.engine.watched import (
    FAULT,
    SHORTAGE,
    WIDE,
    Watched,
    alone,
    assert_failed_cleanly,
    assert_same,
    assert_tells_nothing,
    faulty,
    run_together,
    small,
)

# Faults


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(doomed=st.integers(0, 3), at_step=st.integers(1, 4), scale=st.sampled_from([1.0, 4.0]))
def test_a_forward_that_raises_for_one_row_fails_that_request_alone(
    plus: Checkpoint, doomed: int, at_step: int, scale: float
) -> None:
    """The fault: rows of one prompt length raise from a drawn step on."""
    jobs = [small(plus, "word " * (n + 1), steps=4, scale=scale, seed=n) for n in range(4)]
    with torch.no_grad():
        victim = encode(Encoders(plus, 0), Ticket(jobs[doomed], None))
    fatal_length = victim.positive.shape[1]
    fatal_timestep = float(victim.timesteps[at_step - 1]) / 1000

    def fault(_: Any, call: dict[str, Any]) -> None:
        embeddings = call["encoder_hidden_states"]
        differing = call["attention_kwargs"]["text_lengths"]
        lengths = (
            [embeddings.shape[1]] * len(embeddings) if differing is None else differing.tolist()
        )
        for length, timestep in zip(lengths, call["timestep"].tolist(), strict=True):
            if length == fatal_length and timestep <= fatal_timestep + 1e-6:
                raise RuntimeError(FAULT)

    loop = in_turns(faulty(plus, "transformer", fault), 5)
    healthy = in_turns(plus, 1)
    crowd = [Watched(job) for job in jobs]
    try:
        run_together(loop, crowd, small(plus, "a prompt of another length", steps=2))
        for number, watched in enumerate(crowd):
            if number == doomed:
                assert_failed_cleanly(watched.ticket)
                assert [step.step for step in watched.steps] == list(range(1, at_step))
            else:
                assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
                assert [step.step for step in watched.steps] == [1, 2, 3, 4]
    finally:
        loop.close()
        healthy.close()


@pytest.mark.parametrize(
    ("encoder", "fatal_call"),
    # The gate comes first, then one per request; a prompt and its pictures are read apart.
    [("vae.encoder", 3), ("text_encoder", 5), ("text_encoder", 6)],
)
def test_an_encoder_that_raises_once_fails_that_request_alone(
    plus: Checkpoint, encoder: str, fatal_call: int
) -> None:
    jobs = [small(plus, "word " * (n + 1), seed=n) for n in range(4)]
    calls: list[int] = []

    def fault(_: Any, call: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) == fatal_call:
            raise RuntimeError(FAULT)

    loop = in_turns(faulty(plus, encoder, fault), 5)
    healthy = in_turns(plus, 1)
    crowd = [Watched(job) for job in jobs]
    try:
        run_together(loop, crowd, small(plus, steps=2, seed=9))
        assert_failed_cleanly(crowd[1].ticket)
        assert crowd[1].steps == []
        for watched in (crowd[0], *crowd[2:]):
            assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
    finally:
        loop.close()
        healthy.close()


def test_a_decoder_that_raises_for_one_result_fails_that_request_alone(plus: Checkpoint) -> None:
    crowd = [Watched(small(plus, steps=2 + n, seed=n)) for n in range(3)]
    calls: list[int] = []

    def fault(_: Any, call: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) == 3:  # the gate, the crowd's first, then its second
            raise RuntimeError(FAULT)

    loop = in_turns(faulty(plus, "vae.decoder", fault), 4)
    healthy = in_turns(plus, 1)
    try:
        run_together(loop, crowd, small(plus, steps=2))
        assert_failed_cleanly(crowd[1].ticket)
        for watched in (crowd[0], crowd[2]):
            assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
    finally:
        loop.close()
        healthy.close()


def test_a_failure_is_in_the_log_without_the_words_of_a_library(
    plus: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(_: Any, call: dict[str, Any]) -> None:
        raise RuntimeError(FAULT)

    loop = in_turns(faulty(plus, "transformer", fault), 2)
    try:
        with caplog.at_level(logging.ERROR):
            ticket = Ticket(small(plus), None)
            loop.submit(ticket)
            assert_failed_cleanly(ticket)
        assert "RuntimeError" in caplog.text
        assert FAULT not in caplog.text
    finally:
        loop.close()


# Memory


ROW = 2 * (64 // 16) ** 2
"""Tokens of a row: a square canvas and its reference."""


class Shortage:
    """A transformer whose forwards of so many tokens or more don't fit, from a call on."""

    def __init__(self, plus: Checkpoint, tokens: int, from_call: int = 1) -> None:
        self.failed: list[int] = []
        """Tokens of the forwards that were refused."""
        self.fitted: list[int] = []
        self._tokens, self._from_call = tokens, from_call
        self.checkpoint = faulty(plus, "transformer", self._look)

    def _look(self, args: tuple[Any, ...], call: dict[str, Any]) -> None:
        rows, row_tokens, _ = call["hidden_states"].shape
        calls = len(self.failed) + len(self.fitted) + 1
        if rows * row_tokens >= self._tokens and calls >= self._from_call:
            self.failed.append(rows * row_tokens)
            raise torch.OutOfMemoryError(SHORTAGE)
        self.fitted.append(rows * row_tokens)


def served_by(checkpoint: Checkpoint, **settings_: Any) -> DeviceLoop:
    """The service's own policy, with newcomers encoded between the steps."""
    return DeviceLoop(checkpoint, EngineConfig(**settings_), beside=False)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.integers(2, 10),
    from_call=st.integers(1, 12),
    guided=st.lists(st.booleans(), min_size=2, max_size=5),
)
def test_a_step_that_does_not_fit_fails_nobody_and_its_size_is_not_tried_again(
    plus: Checkpoint, rows: int, from_call: int, guided: list[bool]
) -> None:
    jobs = [
        small(plus, "word " * (n % 3), steps=3 + n, scale=4.0 if guides else 1.0, seed=n)
        for n, guides in enumerate(guided)
    ]
    shortage = Shortage(plus, rows * ROW, from_call)
    loop, healthy = served_by(shortage.checkpoint), in_turns(plus, 1)
    crowd = [Watched(job) for job in jobs]
    try:
        run_together(loop, crowd, small(plus, size=(96, 32), steps=1))
        for watched in crowd:
            assert_same(watched.result().latents, alone(healthy, watched.ticket.task))
            count = watched.ticket.task.num_inference_steps
            assert [step.step for step in watched.steps] == list(range(1, count + 1))
    finally:
        loop.close()
        healthy.close()
    # Every failure is of a smaller size than all before, and nothing as large fits later.
    assert shortage.failed == sorted(set(shortage.failed), reverse=True)
    assert loop.memory.largest_step == min(shortage.failed, default=None)
    assert loop.delivery.failures == 0


def test_what_did_not_fit_once_is_not_tried_by_those_who_come_later(plus: Checkpoint) -> None:
    shortage = Shortage(plus, 3 * ROW)
    loop = served_by(shortage.checkpoint)
    try:
        for start in (0, 10):
            crowd = [Watched(small(plus, steps=3, seed=start + n)) for n in range(4)]
            run_together(loop, crowd, small(plus, size=(96, 32), steps=1))
            for watched in crowd:
                watched.result()
                assert max(watched.shared) <= 2
        # How many meet in a step is the policy's choice; no size is tried twice by either crowd.
        assert min(shortage.failed) >= 3 * ROW
        assert shortage.failed == sorted(set(shortage.failed), reverse=True)
    finally:
        loop.close()


def test_a_guided_edit_alone_is_run_one_row_at_a_time_if_two_do_not_fit(plus: Checkpoint) -> None:
    shortage = Shortage(plus, 2 * ROW)
    loop, healthy = served_by(shortage.checkpoint), in_turns(plus, 1)
    job = small(plus, "a prompt", scale=4.0, steps=4)
    try:
        assert_same(alone(loop, job), alone(healthy, job))
        assert shortage.failed == [2 * ROW]
        assert shortage.fitted == [ROW] * 2 * 4
    finally:
        loop.close()
        healthy.close()


@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("beside", [False, True])
def test_an_edit_that_does_not_fit_alone_is_refused_and_so_are_later_ones(
    plus: Checkpoint, scale: float, beside: bool
) -> None:
    shortage = Shortage(plus, (96 // 16) * (64 // 16) * 2)
    loop = DeviceLoop(shortage.checkpoint, EngineConfig(), beside=beside)
    large = small(plus, size=WIDE, scale=scale, seed=1)
    mates = [Watched(small(plus, seed=n)) for n in (2, 3)]
    try:
        doomed = Ticket(large, None)
        for ticket in (mates[0].ticket, doomed, mates[1].ticket):
            loop.submit(ticket)
        error = doomed.future.exception(timeout=120)
        assert type(error) is EditTooLarge
        assert "96x64" in error.message
        assert_tells_nothing(error)
        for mate in mates:
            assert mate.result().finite
        steps, tried = loop.steps, len(shortage.failed)
        with pytest.raises(EditTooLarge, match="96x64"):
            loop.submit(Ticket(small(plus, size=WIDE, seed=4), None))
        assert (loop.steps, len(shortage.failed)) == (steps, tried)
        assert alone(loop, small(plus, seed=5)).isfinite().all()
        assert loop.delivery.failures == 0  # the device is well
    finally:
        loop.close()
    assert loop.pending() == 0


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_momentary_shortage_costs_nobody_anything(plus: Checkpoint, scale: float) -> None:
    """Every third forward runs out of memory, whatever its size."""
    calls: list[int] = []

    def fault(_: Any, call: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) % 3 == 0:
            raise torch.OutOfMemoryError(SHORTAGE)

    loop, healthy = served_by(faulty(plus, "transformer", fault)), in_turns(plus, 1)
    job = small(plus, scale=scale, steps=1 if scale > 1.0 else 8)
    try:
        for _ in range(2):
            assert_same(alone(loop, job), alone(healthy, job))
    finally:
        loop.close()
        healthy.close()


@pytest.mark.parametrize(
    "fault", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory")]
)
def test_a_host_without_memory_is_treated_as_a_device_without(
    plus: Checkpoint, fault: Exception
) -> None:
    sizes: list[int] = []

    def look(_: Any, call: dict[str, Any]) -> None:
        sizes.append(len(call["hidden_states"]))
        if sizes[-1] > 1:
            raise fault

    loop = served_by(faulty(plus, "transformer", look))
    try:
        assert alone(loop, small(plus, scale=4.0)).isfinite().all()
        assert sizes == [2] + [1] * 6
    finally:
        loop.close()


def test_a_step_that_ran_out_of_memory_keeps_none_of_it(plus: Checkpoint) -> None:
    """The error's traceback holds the forward's activations; the next try would miss them."""
    kept: list[Callable[[], object]] = []
    calls: list[bool] = []

    def fault(_: Any, call: dict[str, Any]) -> None:
        activations = torch.empty(1000)
        calls.append(all(reference() is None for reference in kept))
        if len(call["hidden_states"]) > 1:
            kept.append(weakref.ref(activations))
            raise torch.OutOfMemoryError(SHORTAGE)

    loop = served_by(faulty(plus, "transformer", fault))
    try:
        alone(loop, small(plus, scale=4.0, steps=1))
        assert calls == [True] * 3
        assert len(kept) == 1
    finally:
        loop.close()
