"""What YAML and JSON files come to, and which are refused: jobs and workflows share it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.errors import InvalidRequest
from serve_app.job_files import read_specification, read_steps, read_structure


def read(folder: Path, name: str, text: str) -> Any:
    file = folder / name
    file.write_text(text)
    return read_structure(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "kind: edit\nitems:\n- {prompt: x, seed: 1}\n- {prompt: x}\n"),
        ("a.yml", "{kind: edit, items: [{seed: 1, prompt: x}, {prompt: x}]}"),
        ("a.json", '{"kind": "edit", "items": [{"prompt": "x", "seed": 1}, {"prompt": "x"}]}'),
    ],
)
def test_yaml_and_json_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    said = {"kind": "edit", "items": [{"prompt": "x", "seed": 1}, {"prompt": "x"}]}
    assert read(tmp_path, name, text) == said


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("a.yaml", "prompt: x\nseed: 1\nprompt: y\n", "prompt"),
        ("a.yaml", "steps:\n- prompt: x\n  seed: 1\n  seed: 1\n", "seed"),
        ("a.yaml", "variants: {A: {prompt: x}, B: {prompt: y}, A: {prompt: z}}", "A"),
        ("a.yaml", "{1: x, '1': y}", "1"),
        ("a.yaml", "{2027-01-01: x, 2027-01-01: y}", "2027-01-01"),
        ("a.json", '{"prompt": "x", "seed": 1, "prompt": "y"}', "prompt"),
        ("a.json", '{"steps": [{"seed": 1, "seed": 1}]}', "seed"),
    ],
)
def test_a_key_that_comes_twice_is_named(tmp_path: Path, name: str, text: str, key: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}: `{key}` is given twice") as caught:
        read(tmp_path, name, text)
    assert caught.value.param == key
    for reads in (read_specification, read_steps):
        with pytest.raises(InvalidRequest, match="given twice"):
            reads(tmp_path / name)


def test_merged_mappings_may_be_overruled(tmp_path: Path) -> None:
    text = (
        "base: {one: &one {seed: 1, prompt: x}, two: &two {<<: *one, seed: 2}}\n"
        "three: {<<: *two, seed: 3}\nfour: {<<: [*one, *two]}\n"
    )
    said = read(tmp_path, "a.yaml", text)
    assert said["base"]["two"] == {"seed": 2, "prompt": "x"}
    assert said["three"] == {"seed": 3, "prompt": "x"}
    assert said["four"] == {"seed": 1, "prompt": "x"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.json", '{"seed": NaN}'),
        ("a.json", "kind: edit"),
        ("a.json", "[" * 100_000),
        ("a.yaml", "kind: [edit"),
        ("a.yaml", "seed: .inf"),
        ("a.yaml", "a: &a [*a]"),
        ("a.yaml", "a: !!python/object:os.system {}"),
        ("a.yaml", "[" * 1000),
        ("a.yaml", "{[a]: 1}"),
    ],
)
def test_what_is_no_yaml_or_json_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no YAML or JSON"):
        read(tmp_path, name, text)
