"""The command line."""

from __future__ import annotations

import pytest

from benchmarks.gpu.options import parse


def test_entries_are_kept_apart_by_how_our_side_ran() -> None:
    assert parse([]).entry("curve") == "curve"
    assert parse(["--compile"]).entry("curve") == "curve [compiled]"
    assert parse(["--compile"]).entry("modes") == "modes"
    chosen = parse(["--attention", "_native_cudnn", "--guidance", "stacked", "--zero-cond-t"])
    assert chosen.entry("steps") == "steps [_native_cudnn, guidance stacked, zero_cond_t]"
    assert parse(["--tiny"]).out is None
    assert parse([]).device == "cuda"


@pytest.mark.parametrize(
    "arguments", [["--parts", "nonsense"], ["--modes", "fast"], ["--repeats", "0"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    assert exit_.value.code == 2
    assert arguments[0] in capsys.readouterr().err
