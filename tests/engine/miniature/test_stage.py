"""A stage of training: learns within its time, logs, averages, goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from serve_app.engine.miniature.stage import LossOfStep, Stage


def regression(tmp_path: Path, seconds: float) -> tuple[Stage, nn.Linear]:
    torch.manual_seed(1)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    return Stage("line", model, [optimizer], tmp_path, seconds, decay=0.9, warm_up=1), model


def line_loss(model: nn.Linear) -> LossOfStep:
    generator = torch.Generator().manual_seed(0)

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        x = torch.randn(16, 4, generator=generator)
        return (model(x)[:, 0] - x.sum(dim=1)).pow(2).mean(), {"number": step}

    return loss_of


def test_a_stage_learns_within_its_time_and_logs(tmp_path: Path) -> None:
    stage, model = regression(tmp_path, 1.5)
    stage.train(line_loss(model))
    assert stage.done
    lines = [json.loads(line) for line in (tmp_path / "line.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.1 * lines[0]["loss"] + 1e-3
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})
    torch.testing.assert_close(model.weight, torch.ones(1, 4), atol=0.05, rtol=0)


def test_a_stage_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first, model = regression(tmp_path, 0.5)
    first.train(line_loss(model))
    again, other = regression(tmp_path, 1.0)
    assert (again.step, again.spent) == (first.step, first.spent)
    assert not again.done
    again.train(line_loss(other))
    assert again.step > first.step
    done, _ = regression(tmp_path, 1.0)
    assert done.done


def test_an_interrupted_write_leaves_the_last_state(tmp_path: Path) -> None:
    stage, model = regression(tmp_path, 0.3)
    stage.train(line_loss(model))
    (tmp_path / "line.unfinished").write_bytes(b"half of a state")
    assert regression(tmp_path, 1.0)[0].step == stage.step


def test_an_average_of_few_steps_forgets_the_first_weights(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = nn.Linear(4, 1)
    stage = Stage("far", model, [torch.optim.SGD(model.parameters(), lr=0.2)], tmp_path, 0.3)
    stage.train(line_loss(model))
    torch.testing.assert_close(model.weight, torch.ones(1, 4), atol=0.1, rtol=0)
