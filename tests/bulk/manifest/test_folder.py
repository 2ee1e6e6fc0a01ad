"""Folders of images as manifests."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import fsspec
import pytest

from serve_app.bulk.manifest.source import Source, digest_of
from serve_app.errors import UnusableManifest

from .checking import check, rows

PROMPT = "make it red"


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_images_with_a_prompt(tmp_path: Path) -> None:
    fill(
        tmp_path, "b.PNG", "a/c.jpeg", "a/b/d.webp", "e.Jpg", "f.gif", ".hidden.png", ".h/g.png",
        "a/.h/g.png", "text.txt",
    )  # fmt: skip
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    manifest = check(Source(str(tmp_path), (PROMPT,)), tmp_path)
    found = rows(manifest)
    names = ["a/b/d.webp", "a/c.jpeg", "b.PNG", "e.Jpg"]
    assert [row["id"] for row in found] == names
    assert [row["images"] for row in found] == [[name] for name in names]
    assert [row["input.image"] for row in found] == names
    assert [row["row"] for row in found] == [1, 2, 3, 4]
    assert all(row["asked"] == {"prompt": PROMPT} for row in found)
    assert (manifest.kind, manifest.missing, manifest.faults.count) == ("folder", 0, 0)


def test_every_image_with_every_prompt(tmp_path: Path) -> None:
    fill(tmp_path, "shop/b.png", "shop/a.png")
    found = rows(check(Source(str(tmp_path / "shop"), ("one", "two")), tmp_path))
    assert [(row["id"], row["images"], row["asked"]["prompt"]) for row in found] == [
        ("a.png#1", ["shop/a.png"], "one"),
        ("a.png#2", ["shop/a.png"], "two"),
        ("b.png#1", ["shop/b.png"], "one"),
        ("b.png#2", ["shop/b.png"], "two"),
    ]


def test_long_names_have_made_ids(tmp_path: Path) -> None:
    fill(tmp_path, f"{'a' * 150}/{'b' * 60}.png")
    (row,) = rows(check(Source(str(tmp_path), (PROMPT,)), tmp_path))
    assert row["id"].startswith("row-")
    assert len(row["id"]) == 20


def test_names_that_cannot_be_used(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b\n.png")
    (tmp_path / os.fsdecode(b"c\xff.png")).write_bytes(b"x")
    found = rows(check(Source(str(tmp_path), (PROMPT,)), tmp_path))
    assert [row["error_code"] for row in found] == [None, "invalid_value", "invalid_value"]
    assert [row["input.image"] for row in found] == ["a.png", "b\n.png", "c\ufffd.png"]


def test_linked_images(tmp_path: Path) -> None:
    fill(tmp_path, "root/a.png", "outside.png")
    (tmp_path / "root" / "in.png").symlink_to("a.png")
    (tmp_path / "root" / "out.png").symlink_to("../outside.png")
    (tmp_path / "root" / "gone.png").symlink_to("nothing.png")
    manifest = check(Source(str(tmp_path / "root"), (PROMPT,)), tmp_path / "root")
    assert [(row["id"], row["error_code"]) for row in rows(manifest)] == [
        ("a.png", None),
        ("gone.png", None),
        ("in.png", None),
        ("out.png", "outside_input_root"),
    ]
    assert manifest.missing == 1


def test_a_folder_outside_of_the_root(tmp_path: Path) -> None:
    fill(tmp_path, "images/a.png", "root/b.png")
    with pytest.raises(UnusableManifest, match="must be the input root, or lie below it"):
        check(Source(str(tmp_path / "images"), (PROMPT,)), tmp_path / "root")


def test_a_folder_beside_the_working_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "photos/a.png", "work/x")
    monkeypatch.chdir(tmp_path / "work")
    (row,) = rows(check(Source("../photos", (PROMPT,)), "../photos"))
    assert (row["images"], row["error_code"]) == (["a.png"], None)


def test_in_an_object_store() -> None:
    place = f"memory://{uuid.uuid4().hex}"
    fs = fsspec.filesystem("memory")
    fs.pipe({f"{place}/shop/{n}": b"x" for n in ("b.png", "a/c.JPG", ".h/d.png", "e.txt")})
    source = Source(f"{place}/shop", (PROMPT,))
    manifest = check(source, place)
    assert [(row["id"], row["images"]) for row in rows(manifest)] == [
        ("a/c.JPG", ["shop/a/c.JPG"]),
        ("b.png", ["shop/b.png"]),
    ]
    assert digest_of(source) == manifest.digest
    fs.pipe(f"{place}/shop/f.png", b"x")
    assert digest_of(source) != manifest.digest


def test_the_digest_is_of_images_and_prompts(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b/c.png")
    source = Source(str(tmp_path), (PROMPT,))
    seen = {digest_of(source)}
    assert check(source, tmp_path).digest in seen
    fill(tmp_path, "text.txt", ".hidden.png")
    assert digest_of(source) in seen
    for change in (
        lambda: (tmp_path / "a.png").write_bytes(b"longer"),
        lambda: os.utime(tmp_path / "a.png", (5, 5)),
        lambda: (tmp_path / "a.png").rename(tmp_path / "d.png"),
        lambda: fill(tmp_path, "e.png"),
    ):
        change()
        assert digest_of(source) not in seen
        seen.add(digest_of(source))
    assert digest_of(Source(str(tmp_path), ("other",))) not in seen
    assert digest_of(Source(str(tmp_path), (PROMPT, "other"))) not in seen
