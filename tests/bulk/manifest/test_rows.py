"""Rows: what they ask for, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.bulk.row import Row

from .checking import FORMATS, checked, encoded, messages, rows

GOOD = {"image": "a.png", "prompt": "make it red"}

ALL_FIELDS = {
    "negative_prompt": "blue",
    "edit_type": "appearance",
    "size": "512x512",
    "seed": 7,
    "true_cfg_scale": 3.5,
    "num_inference_steps": 20,
    "max_attempts": 2,
    "quality": "high",
    "expected_text": "OPEN",
    "old_text": "CLOSED",
    "mask_box": [1, 2, 30, 40],
    "lora": {"name": "style", "scale": 0.5},
    "cache": "off",
}


@pytest.mark.parametrize("kind", FORMATS)
def test_all_fields(tmp_path: Path, kind: str) -> None:
    row = {"id": "one", "image": ["a.png", "./b//c.png"], "prompt": " make it red "} | ALL_FIELDS
    manifest = checked(tmp_path, f"m.{kind}", encoded(kind, [row]))
    (found,) = rows(manifest)
    assert found["error_message"] is None
    assert (found["row"], found["id"], found["mask"]) == (1, "one", None)
    assert found["images"] == ["a.png", "b/c.png"]
    asked = {"prompt": "make it red"} | ALL_FIELDS | {"quality": "best"}
    assert found["asked"] == asked
    assert manifest.sample == (Row(1, "one", ("a.png", "b/c.png"), None, asked),)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"image": None}, "missing_field", "`image` is required."),
        ({"prompt": None}, "missing_field", "`prompt` is required."),
        ({"image": "../a.png"}, "outside_input_root", "`image` must lie below the input root"),
        ({"mask": "s3://x/a.png"}, "outside_input_root", "`mask` must lie below the input root"),
        ({"image": ["a"] * 4}, "too_many_images", "`image` must name at most 3 images."),
        ({"true_cfg_scale": 21.0}, "invalid_value", "`true_cfg_scale` must be a number from 1 to"),
        ({"seed": -1}, "invalid_value", "`seed` must be a whole number from 0 to 2^63-1"),
        ({"seed": 1.5}, "invalid_value", "`seed` must be a whole number from 0 to 2^63-1"),
        ({"edit_type": "paint"}, "invalid_value", "`edit_type` must be one of auto, semantic"),
        ({"size": "5x5"}, "invalid_value", "`size` must have sides from 32"),
        ({"prompt": "x" * 4001}, "invalid_value", "`prompt` must have at most 4000 characters."),
        ({"prompt": "a\u202eb"}, "invalid_value", "`prompt` must not contain the bidirectional"),
        ({"mask": "a.png", "mask_box": [1, 2, 3, 4]}, "invalid_value", "`mask` must not be given"),
        ({"id": None}, "missing_field", "`id` is required"),
        ({"id": "a\nb"}, "invalid_value", "`id` must be a single line"),
        ({"id": "a\u2028b"}, "invalid_value", "`id` must be a single line"),
        ({"id": "a\x00b"}, "invalid_value", "`id` must not contain control characters"),
        ({"id": "a" * 201}, "invalid_value", "`id` must have at most 200 characters."),
    ],
)  # fmt: skip
def test_faulty_rows(
    tmp_path: Path, kind: str, given: dict[str, Any], code: str, message: str
) -> None:
    wrong = {"id": "bad"} | GOOD | given
    good = [{"id": f"good {i}"} | GOOD for i in range(2)]
    if kind == "parquet":
        image = given.get("image")
        wrap = isinstance(image, list)
        good = [row | {"image": [row["image"]]} for row in good] if wrap else good
    names = dict.fromkeys([*good[0], *wrong])
    lines = [{name: row.get(name) for name in names} for row in (good[0], wrong, good[1])]
    manifest = checked(tmp_path, f"m.{kind}", encoded(kind, lines))
    found = rows(manifest)
    assert [row["error_code"] for row in found] == [None, code, None]
    assert found[1]["error_message"].startswith(message)
    assert (found[1]["images"], found[1]["mask"], found[1]["asked"]) == ([], None, None)
    assert manifest.faults.count == 1
    assert manifest.faults.by_code == {code: 1}
    (fault,) = manifest.faults.first
    assert (fault.number, fault.code, fault.message) == (2, code, found[1]["error_message"])
    assert fault.id == found[1]["id"] == ("bad" if "id" not in given else fault.id)
    assert "id" not in given or fault.id.startswith("row-")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("image", [["a.png", 5], ["a.png", None], [["a.png"]]])
def test_lists_of_other_things(tmp_path: Path, kind: str, image: list[Any]) -> None:
    manifest = checked(tmp_path, f"m.{kind}", encoded(kind, [GOOD | {"image": image}]))
    assert messages(manifest) == {1: "`image` must be a place as text."}


@pytest.mark.parametrize("image", [5, True, {"a": "b"}])
def test_images_that_are_no_text(tmp_path: Path, image: object) -> None:
    manifest = checked(tmp_path, "m.jsonl", encoded("jsonl", [GOOD | {"image": image}]))
    assert messages(manifest) == {1: "`image` must be a place as text, or a list of places."}


@pytest.mark.parametrize("kind", FORMATS)
def test_ids_that_come_twice(tmp_path: Path, kind: str) -> None:
    ids = ["a", "b", "a", "c", "a"]
    manifest = checked(tmp_path, f"m.{kind}", encoded(kind, [{"id": i} | GOOD for i in ids]))
    assert messages(manifest) == {
        3: "`id` must differ from that of row 1.",
        5: "`id` must differ from that of row 1.",
    }
    assert manifest.faults.by_code == {"duplicate_id": 2}
    assert [fault.id for fault in manifest.faults.first] == ["a", "a"]


@pytest.mark.parametrize("kind", FORMATS)
def test_made_ids_say_what_is_asked(tmp_path: Path, kind: str) -> None:
    lines = [GOOD, GOOD | {"prompt": "make it blue"}, GOOD, GOOD | {"prompt": " make it red"}]
    found = [row["id"] for row in rows(checked(tmp_path, f"m.{kind}", encoded(kind, lines)))]
    # SHA-256 of {"asked":{"prompt":"make it red"},"images":["a.png"],"mask":null}
    assert found[0] == "row-b005069c278e144c"
    assert found[2:] == [f"{found[0]}-2", f"{found[0]}-3"]
    assert found[1] != found[0]
    turned = rows(checked(tmp_path, f"m.{kind}", encoded(kind, lines[::-1])))
    assert {row["id"] for row in turned} == set(found)


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_numbers_as_ids(tmp_path: Path, kind: str) -> None:
    lines = [{"id": 12} | GOOD, {"id": 7} | GOOD]
    found = rows(checked(tmp_path, f"m.{kind}", encoded(kind, lines)))
    assert [row["id"] for row in found] == ["12", "7"]


def test_only_the_first_faults_are_told(tmp_path: Path) -> None:
    lines = [{"id": i} | GOOD | {"seed": -1} for i in range(25)]
    manifest = checked(tmp_path, "m.jsonl", encoded("jsonl", lines))
    assert manifest.faults.count == 25
    assert [fault.number for fault in manifest.faults.first] == list(range(1, 21))


def test_the_sample_is_of_rows_that_can_be_run(tmp_path: Path) -> None:
    lines = [{"id": i} | GOOD | ({"seed": -1} if i < 3 else {}) for i in range(20)]
    manifest = checked(tmp_path, "m.jsonl", encoded("jsonl", lines))
    assert [row.number for row in manifest.sample] == [4, 5, 6, 7, 8]


def test_where_places_lead(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("a/there.png", "outside.png"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(b"x")
    (root / "outside.png").rename(tmp_path / "outside.png")
    (root / "a" / "in.png").symlink_to("there.png")
    (root / "a" / "out.png").symlink_to("../../outside.png")
    (root / "alias").symlink_to("a", target_is_directory=True)
    (root / "up").symlink_to("..", target_is_directory=True)
    places = [
        "a/there.png", "a/in.png", "alias/there.png", "a/gone.png", "gone/x.png", "a/gone.png",
        "a/there.png/x", "a/out.png", "up/outside.png", "alias/out.png", "a",
    ]  # fmt: skip
    lines = [GOOD | {"image": place} for place in places]
    lines.append(GOOD | {"image": "a/in.png", "mask": "up/x.png"})
    manifest = checked(tmp_path, "m.jsonl", encoded("jsonl", lines), root=root)
    found = messages(manifest)
    assert set(found) == {8, 9, 10, 12}
    assert manifest.faults.by_code == {"outside_input_root": 4}
    assert found[9] == "`image` leads out of the input root by a link."
    assert found[12] == "`mask` leads out of the input root by a link."
    assert manifest.missing == 4  # a/gone.png, gone/x.png, a/there.png/x, a
