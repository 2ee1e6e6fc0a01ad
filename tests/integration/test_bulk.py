"""Bulk runs on Ray: the service's own pixels, every row once, whatever is wrong with some."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.bulk.desk import MaxErrors, Stopped
from serve_app.bulk.summary import Summary
from serve_app.errors import EditServiceError
from tests.conftest import Service, decoded
from tests.integration.bulk_folder import SAME, SAMPLE_FILES, Folder, config, recolourings

pytestmark = pytest.mark.cluster


@pytest.fixture
def folder(service: Service, tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# One run of everything that can be in a manifest: a run has to start its actors each time.

LIKE_ONLINE: list[dict[str, Any]] = [
    {"image": "shop.png", "prompt": "change the sign to 'OPEN'", "seed": 5},
    {"image": "balloon.png", "prompt": "make the red circle yellow", "seed": 2**40},
    {"image": "wall.png", "prompt": "배경을 단색 하늘색으로 바꿔줘", "num_inference_steps": 6},
    {"image": "toys.png", "prompt": "remove the green square", "mask_box": [40, 40, 64, 64]},
]
NIGHT = "make it night"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "broken": ({"image": "broken.png", "prompt": NIGHT}, "unusable_image"),
    "text": ({"image": "text.png", "prompt": NIGHT}, "unsupported_media_type"),
    "gone": ({"image": "gone.png", "prompt": NIGHT}, "image_not_found"),
    "steps": ({"image": "shop.png", "prompt": "x", "num_inference_steps": 0}, "invalid_value"),
    "away": ({"image": "../edits.png", "prompt": NIGHT}, "outside_input_root"),
    "box": ({"image": "shop.png", "prompt": "x", "mask_box": [0, 0, 900, 900]}, "unusable_mask"),
    "token": ({"image": "shop.png", "prompt": "<|image_pad|>"}, "invalid_value"),
}


@pytest.fixture(scope="module")
def mixed(service: Service, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Summary]:
    """A run of good rows, of which some are alike, with bad ones among them, by two editors."""
    folder = Folder(tmp_path_factory.mktemp("mixed"))
    folder.config = config(folder.images.parent, editors=2)
    (folder.images / "broken.png").write_bytes((folder.images / "shop.png").read_bytes()[:200])
    (folder.images / "text.png").write_text("no picture")
    bad = [{"id": name, **row} for name, (row, _) in BAD.items()]
    like_online = [{"id": f"like {i}", **row} for i, row in enumerate(LIKE_ONLINE)]
    folder.write([*bad[:3], *like_online, *SAME, *bad[3:], *recolourings(12)])
    return folder, folder.run()


def test_a_row_has_the_pixels_of_the_same_request_online(
    mixed: tuple[Folder, Summary], service: Service
) -> None:
    folder, _ = mixed
    results = {row["row"]: row for row in folder.results()}
    for number, row in enumerate(LIKE_ONLINE, start=4):
        online, result = edited_online(service, row), results[number]
        in_bulk = decoded((folder.out / result["output_image"]).read_bytes())
        assert (decoded(base64.b64decode(online["b64_json"])) == in_bulk).all()
        assert (result["seed"], result["verdict"]) == (online["seed"], online["verdict"])


def edited_online(service: Service, row: dict[str, Any]) -> dict[str, Any]:
    image = (SAMPLE_FILES / row["image"]).read_bytes()
    body = {
        **row,
        "image": [f"data:image/png;base64,{base64.b64encode(image).decode()}"],
        "cache": "off",
    }
    answer = httpx.post(f"{service.url}/v1/images/edits", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    edited: dict[str, Any] = answer.json()["data"][0]
    return edited


def test_every_good_row_is_done_and_every_bad_one_told(mixed: tuple[Folder, Summary]) -> None:
    folder, summary = mixed
    good = len(LIKE_ONLINE) + len(SAME) + 12
    assert (summary.succeeded, summary.failed, summary.left) == (good, len(BAD), 0)
    results = folder.results()
    assert [row["row"] for row in results] == list(range(1, good + len(BAD) + 1))
    failed = {row["id"]: row["error_code"] for row in results if row["status"] == "failed"}
    assert failed == {name: code for name, (_, code) in BAD.items()}
    assert all(row["error_message"] for row in results if row["id"] in BAD)
    assert len({row["output_image"] for row in results} - {None}) == good


def test_identical_rows_cost_one_edit_whichever_editor_has_them(
    mixed: tuple[Folder, Summary],
) -> None:
    folder, _ = mixed
    same = [row for row in folder.results() if row["id"].startswith("same ")]
    assert [row["cache"] for row in same].count("miss") == 1
    assert len({row["output_image"] for row in same}) == len(SAME)
    assert len({(folder.out / row["output_image"]).read_bytes() for row in same}) == 1


@pytest.mark.slow  # it starts actors of its own
def test_what_keeps_every_row_from_ending_is_told(folder: Folder) -> None:
    folder.write(recolourings(2))
    model = folder.config.model.model_copy(update={"checkpoint": str(folder.out / "nothing")})
    folder.config = folder.config.model_copy(update={"model": model})
    with pytest.raises(EditServiceError, match="checkpoint"):
        folder.run()
    assert folder.ledger() == []


@pytest.mark.slow
def test_stopped_by_errors_resumed_and_the_failed_tried_again(folder: Folder) -> None:
    late = [{"id": f"late {i}", "image": "late.png", "prompt": NIGHT, "seed": i} for i in range(30)]
    folder.write([*late, *recolourings(30)])
    first = folder.run(max_errors=MaxErrors(number=4))
    assert first.stopped == Stopped.TOO_MANY_ERRORS
    assert first.failed > 4
    assert first.left > 0

    second = folder.run()
    assert (second.succeeded, second.failures) == (30, {"image_not_found": 30})
    phases: list[str] = []
    assert folder.run(lambda progress: phases.append(progress.phase)) == second
    assert "starting Ray" not in phases
    assert sorted(line["row"] for line in folder.ledger()) == list(range(1, 61))

    (folder.images / "late.png").write_bytes((folder.images / "balloon.png").read_bytes())
    third = folder.run(retry_failed=True)
    assert (third.succeeded, third.failed) == (60, 0)
    assert len(folder.ledger()) == 90
    assert {row["status"] for row in folder.results()} == {"succeeded"}
