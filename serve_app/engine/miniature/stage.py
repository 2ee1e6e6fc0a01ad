"""One stage of the training: a budget of time, a schedule, averaged weights, resumption."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn
from torch.optim import Optimizer

LossOfStep = Callable[[int], tuple[torch.Tensor, dict[str, float]]]
"""Makes the loss of a step, given its number, and figures to log beside it."""

_SAVE_EVERY_S = 120.0
_MAX_GRADIENT_NORM = 1.0


@dataclass(eq=False)
class Stage:
    """Trains what requires gradients in ``module`` for ``seconds``, earlier runs included.

    ``folder`` holds the log (``NAME.jsonl``, a line for every ``log_every`` steps) and the state
    (``NAME.pt``), written every two minutes. What comes out is a moving average of the weights
    over about ``1 / (1 - decay)`` steps. The learning rates rise over ``warm_up`` steps, stay
    until the share ``constant_until`` of the time is over, and fall to 3 %.
    """

    name: str
    module: nn.Module
    optimizers: Sequence[Optimizer]
    folder: Path
    seconds: float
    decay: float = 0.998
    warm_up: int = 200
    constant_until: float = 0.5
    log_every: int = 50
    step: int = field(default=0, init=False)
    spent: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._trained = {
            name: parameter
            for name, parameter in self.module.named_parameters()
            if parameter.requires_grad
        }
        self._average = {name: it.detach().clone() for name, it in self._trained.items()}
        self._rates = [[group["lr"] for group in it.param_groups] for it in self.optimizers]
        self._figures: dict[str, list[float]] = defaultdict(list)
        if self._state_file.is_file():
            self._restore(torch.load(self._state_file, map_location="cpu", weights_only=True))

    @property
    def done(self) -> bool:
        """Whether the budget is used up."""
        return self.spent >= self.seconds

    def complete(self, losses: Callable[[], LossOfStep], *, frozen: bool = False) -> None:
        """Train what is left, and put the average in place; ``frozen`` trains no more.

        ``losses`` makes the loss of a step, with all that it needs, only where it is needed.
        """
        if self.done or frozen:
            self.use_average()
        else:
            self.train(losses())

    def train(self, loss_of: LossOfStep) -> None:
        """Take steps until the budget is used up, then leave the averaged weights in place."""
        saved = last = time.monotonic()
        with _progress(self.name, self.seconds) as show:
            while not self.done:
                self._take_step(loss_of)
                now = time.monotonic()
                self.spent += now - last
                last = now
                if self.step % self.log_every == 0 or self.done:
                    show(self.spent, self._log())
                if now - saved > _SAVE_EVERY_S:
                    self._save()
                    saved = last = time.monotonic()
        self._save()
        self.use_average()

    @torch.no_grad()
    def use_average(self) -> None:
        """Put the averaged weights into the module."""
        for name, parameter in self._trained.items():
            parameter.copy_(self._average[name])

    def _take_step(self, loss_of: LossOfStep) -> None:
        factor = self._factor()
        for optimizer, rates in zip(self.optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        loss, figures = loss_of(self.step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._trained.values(), _MAX_GRADIENT_NORM)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        # Early on a short memory, or the first, random weights would stay in the average.
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._average.values()), list(self._trained.values()), 1 - decay
            )
        self.step += 1
        for name, value in {"loss": loss.item(), **figures}.items():
            self._figures[name].append(value)

    def _factor(self) -> float:
        """The learning rates' factor: linear warm-up, constant, then half a cosine to 3 %."""
        warm = min(1.0, (self.step + 1) / self.warm_up)
        share = min(1.0, self.spent / self.seconds)
        falling = max(0.0, share - self.constant_until) / (1 - self.constant_until)
        return warm * (0.03 + 0.97 * (0.5 + 0.5 * math.cos(math.pi * falling)))

    def _log(self) -> dict[str, float]:
        means = {name: sum(values) / len(values) for name, values in self._figures.items()}
        self._figures.clear()
        with self._log_file.open("a") as log:
            line = {"step": self.step, "seconds": round(self.spent, 1), **means}
            log.write(json.dumps(line) + "\n")
        return means

    @property
    def _log_file(self) -> Path:
        return self.folder / f"{self.name}.jsonl"

    @property
    def _state_file(self) -> Path:
        return self.folder / f"{self.name}.pt"

    def _save(self) -> None:
        state = {
            "trained": {name: it.detach() for name, it in self._trained.items()},
            "average": self._average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "spent": self.spent,
        }
        unfinished = self._state_file.with_suffix(".unfinished")
        torch.save(state, unfinished)
        unfinished.replace(self._state_file)

    @torch.no_grad()
    def _restore(self, state: dict[str, Any]) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(state["trained"][name])
            self._average[name].copy_(state["average"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.spent = state["step"], state["spent"]
        self._forget_lines_beyond(self.step)

    def _forget_lines_beyond(self, step: int) -> None:
        """Drop what was logged after the state that is gone on from."""
        if self._log_file.is_file():
            lines = self._log_file.read_text().splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            self._log_file.write_text("".join(kept))


@contextmanager
def _progress(name: str, seconds: float) -> Iterator[Callable[[float, dict[str, float]], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(name, total=seconds, figures="")

        def show(spent: float, figures: dict[str, float]) -> None:
            text = "  ".join(f"{figure} {value:.4f}" for figure, value in figures.items())
            progress.update(task, completed=spent, figures=text)
            if not progress.console.is_terminal:
                progress.console.print(f"{name} {spent:.0f}/{seconds:.0f} s  {text}")

        yield show
