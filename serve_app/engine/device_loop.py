"""The thread that owns the steps: between any two of them requests join, pause or leave.

Who shares the next step is the policy's decision; newcomers are encoded and finished edits
decoded in its order, too. Nothing here waits for anything but the device.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch

from serve_app.config import EngineConfig
from serve_app.engine.backlog import SHUTTING_DOWN, Backlog, Job
from serve_app.engine.costs import Costs
from serve_app.engine.delivery import Delivery
from serve_app.engine.device_memory import DeviceMemory
from serve_app.engine.encode import compatibility_key
from serve_app.engine.encoders import Encoders
from serve_app.engine.estimates import Estimates
from serve_app.engine.load import Checkpoint
from serve_app.engine.policy import LeastWorkFirst, Policy, Work
from serve_app.engine.questions import Questions
from serve_app.engine.shared_step import SharedStep
from serve_app.engine.stages import Stages
from serve_app.engine.state import CanvasStep, DenoisingState, Ticket
from serve_app.errors import DeadlineExceeded, InvalidRequest, NotReady

StepObserver = Callable[[int, float], None]
"""Told how many requests shared a step, and its seconds; must not block or raise."""

_TOO_LATE = "The edit can't be finished within `deadline_s`; allow more time or fewer steps."
_NO_DRAFTS = "This model makes no drafts; choose another `quality`, such as `standard`."


class DeviceLoop:
    """Runs tickets to their end on its own threads; everything public is thread-safe.

    ``policy`` decides who runs; by default the least work first. ``beside`` runs encoders and
    decoder on threads of their own; without it they run between the steps, newcomers when it
    is their turn. By default that is left to the checkpoint.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: EngineConfig,
        policy: Policy | None = None,
        beside: bool | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._backlog = Backlog()
        self._active: list[DenoisingState] = []
        self.costs = Costs()
        self.delivery = Delivery()
        set_aside = config.reuse_bytes + checkpoint.adapters.reserved_bytes
        self.memory = DeviceMemory(checkpoint, config.memory_bytes, set_aside)
        self.encoders = Encoders(checkpoint, config.reuse_bytes)
        self.questions = Questions(checkpoint, self._backlog, config.max_pending)
        self._policy = policy or LeastWorkFirst(
            self.costs, config.scheduling, config.max_batch_size, self.memory.fits
        )
        self.estimates = Estimates(self.costs)
        self._stages = Stages(
            checkpoint,
            self.encoders,
            self._backlog,
            self.delivery,
            self.memory,
            self.costs,
        )
        self._shared_step = SharedStep(
            checkpoint,
            self.memory,
            self.delivery,
            self.costs.steps,
            config.acceleration.stack_guidance,
            self._stages.paused,
            self._step_made,
        )
        self.steps = 0
        """Steps made, however many requests shared them."""
        self.observer: StepObserver | None = None
        """Told of each step, on the device thread."""
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._thread.start()
        if checkpoint.runs_beside if beside is None else beside:
            picks = {"encoder": self._next_encoding, "decoder": self._next_decoding}
            self._stages.start(picks, self._refuse_rest)

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket; its future resolves from one of the engine's threads.

        Raises ``UnusableAdapter``, ``EditTooLarge`` or ``InvalidRequest`` (a draft without
        drafts) for what can't be run here, and ``NotReady`` after ``close``.
        """
        task = ticket.task
        if task.few_step and self._checkpoint.description.drafts is None:
            raise InvalidRequest(_NO_DRAFTS, "quality")
        ticket.key = key = compatibility_key(self._checkpoint, task)
        if task.lora is not None:
            self._checkpoint.adapters.check(task.lora)
        self.memory.check(task, key)
        ticket.work = Work(
            key=key,
            tokens=key.tokens,
            rows=2 if task.guided else 1,
            remaining_steps=task.num_inference_steps,
            arrived=ticket.submitted,
            priority=task.priority,
            tenant=task.tenant,
            deadline=None if ticket.deadline_s is None else ticket.submitted + ticket.deadline_s,
        )
        self.delivery.watch(ticket)
        if self._backlog.submit(ticket):
            self.delivery.note_progress()
        ticket.future.add_done_callback(lambda _: self._release(ticket))

    @property
    def alive(self) -> bool:
        """Whether the threads run."""
        return self._thread.is_alive() and self._stages.alive

    def pending(self) -> int:
        """Tickets that wait or run."""
        return self._backlog.pending()

    def tenants(self) -> Counter[str]:
        """How many tickets of each tenant wait or run."""
        return Counter(ticket.task.tenant for ticket in self._backlog.present())

    def close(self) -> None:
        """Stop after the current step; whatever has not finished fails with ``NotReady``."""
        self._backlog.close()
        self._thread.join()
        self._stages.join()

    @torch.no_grad()
    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._collect()
                self._step()
                self._stages.run_deferred()
                self._hand_over_finished()
        finally:
            self._refuse_rest()

    def _wait_for_work(self) -> bool:
        with self._backlog.changed:
            self._backlog.changed.wait_for(
                lambda: self._backlog.closed or self._active or self._has_arrivals()
            )
            return not self._backlog.closed

    def _has_arrivals(self) -> bool:
        if not self._stages.beside and (self._backlog.waiting() or self.questions.waiting()):
            return True
        return self._backlog.has_encoded() or self._stages.has_deferred()

    def _collect(self) -> None:
        """Take in who was encoded, refuse who comes too late, let go of who has left."""
        self._active += self._backlog.take_encoded()
        for ticket in self._backlog.present():
            if self.estimates.too_late(ticket):
                self.delivery.fail(ticket, DeadlineExceeded(_TOO_LATE, "deadline_s"))
        self._keep([state for state in self._active if not state.ticket.future.done()])

    def _step(self) -> None:
        """Let the policy choose who shares the next step, and make it."""
        states = {state.ticket.work: state for state in self._active}
        waiting = {ticket.work: ticket for ticket in self._may_begin()}
        chosen = self._policy.choose([*waiting, *states], time.monotonic())
        for ticket, event in self.estimates.news(self._backlog.present(), self._policy, chosen):
            with self.delivery.blaming(ticket):
                ticket.tell(event)
        for work in chosen:
            if work in waiting:
                self._begin(waiting[work])
                return  # who has come meanwhile may change the choice
        if chosen:
            self._shared_step.run([states[work] for work in chosen])

    def _may_begin(self) -> list[Ticket]:
        """Whom the policy may choose before they are encoded: nobody if that is done beside."""
        if self._stages.beside:
            return []
        return self._with_room()

    def _with_room(self) -> list[Ticket]:
        """Those who wait and may be encoded, by rank.

        Whom the memory has no room for is not overtaken, or would wait for ever; whom the
        adapters have none for only by those who want no adapter.
        """
        waiting = {ticket.work: ticket for ticket in self._backlog.waiting()}
        admitted, adapters_blocked = [], False
        for work in self._policy.ranked(list(waiting), time.monotonic()):
            task = waiting[work].task
            if not self.memory.has_room(task, waiting[work].key):
                break
            if task.lora is not None:
                room = self._checkpoint.adapters.has_room(task.lora.name)
                if adapters_blocked := adapters_blocked or not room:
                    continue
            admitted.append(waiting[work])
        return admitted

    def _begin(self, ticket: Ticket) -> None:
        with self._backlog.changed:
            if ticket.future.done():
                return  # it has left since it was chosen
            encode = self._taken(ticket)
        encode()

    def _step_made(self, states: list[DenoisingState], seconds: float) -> None:
        self.steps += 1
        if self.observer is not None:
            self.observer(len(states), seconds)
        present = [ticket.work for ticket in self._backlog.present()]
        self._policy.charge([state.ticket.work for state in states], present, seconds)
        for state in states:
            ticket = state.ticket
            ticket.work.remaining_steps = state.remaining_steps
            ticket.seconds["denoise"] += seconds
            with self.delivery.blaming(ticket):
                eta_s = self.estimates.eta_s(ticket.work)
                ticket.tell(CanvasStep(state.step, len(state.timesteps), len(states), eta_s))
                if state.step in state.preview_steps:
                    self._stages.put_preview(state)

    def _hand_over_finished(self) -> None:
        for state in self._active:
            if state.done and not state.ticket.future.done():
                self._stages.put_finished(state)
        self._keep([state for state in self._active if not state.done])
        if not self._stages.beside:
            self._stages.run_jobs()
            self.questions.answer_waiting()

    def _keep(self, states: list[DenoisingState]) -> None:
        if len(states) != len(self._active):
            self._shared_step.forget()
            self._active = states

    def _next_encoding(self) -> Job | None:
        """A question, or of those who wait and fit the first in rank."""
        if (question := self.questions.take()) is not None:
            return question
        for ticket in self._with_room()[:1]:
            return self._taken(ticket)
        return None

    def _next_decoding(self) -> Job | None:
        """Of those who are denoised, or want a preview, the first in rank."""
        decoding = {ticket.work: ticket for ticket in self._backlog.decoding()}
        for work in self._policy.ranked(list(decoding), time.monotonic())[:1]:
            return self._backlog.take_job(decoding[work])
        return None

    def _taken(self, ticket: Ticket) -> Job:
        """Let ``ticket`` wait no longer and hold what it needs; returns its encoding."""
        self._backlog.take(ticket)
        self.memory.hold(ticket.task, ticket.key)
        if ticket.task.lora is not None:
            self._checkpoint.adapters.hold(ticket.task.lora)
        ticket.held = True
        return partial(self._stages.encode, ticket, last=False)

    def _release(self, ticket: Ticket) -> None:
        """Give back what a ticket that has ended was holding; others may have waited for it."""
        with self._backlog.changed:
            if not ticket.held:
                return
            ticket.held = False
            self.memory.release(ticket.task, ticket.key)
            if ticket.task.lora is not None:
                self._checkpoint.adapters.release(ticket.task.lora)
            self._backlog.changed.notify_all()

    def _refuse_rest(self) -> None:
        self._backlog.close()
        for ticket in self._backlog.present():
            self.delivery.fail(ticket, NotReady(SHUTTING_DOWN))
        self.questions.refuse_rest()
