"""Manifests and images in S3."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.manifest.source import Source, digest_of
from serve_app.errors import ImageNotFound, NotReady, PayloadTooLarge, UnusableManifest
from tests.bulk.s3 import S3, s3, s3_alone  # noqa: F401 (fixtures)

from .checking import FORMATS, check, encoded, messages, rows

ROW = {"image": "a/b 1.png", "prompt": "make it red"}


def put(url: str, data: bytes) -> None:
    fsspec.filesystem("s3", use_listings_cache=False).pipe_file(url, data)


@pytest.mark.parametrize("kind", FORMATS)
def test_manifests(s3: S3, kind: str) -> None:  # noqa: F811
    lines = [ROW, ROW | {"image": f"{s3.url}/in/c.png"}, ROW | {"image": "s3://other/c.png"}]
    put(f"{s3.url}/m.{kind}", encoded(kind, lines))
    source = Source(f"{s3.url}/m.{kind}")
    manifest = check(source, f"{s3.url}/in")
    assert list(messages(manifest)) == [3]
    assert [row["images"] for row in rows(manifest)] == [["a/b 1.png"], ["c.png"], []]
    assert digest_of(source) == manifest.digest


def test_reading(s3: S3) -> None:  # noqa: F811
    put(f"{s3.url}/in/a/b 1.png", b"image")
    put(f"{s3.url}/in/empty.png", b"")
    images = InputRoot(f"{s3.url}/in")
    assert images.read("a/b 1.png", 5) == b"image"
    assert images.read("empty.png", 5) == b""
    with pytest.raises(PayloadTooLarge):
        images.read("a/b 1.png", 4)
    for place in ("a", "c.png"):
        with pytest.raises(ImageNotFound):
            images.read(place, 5)
    put(f"{s3.url}/in/c.png", b"late")  # nothing was remembered
    assert images.read("c.png", 5) == b"late"


def test_folders(s3: S3) -> None:  # noqa: F811
    for name in ("b.png", "a/c.JPG", ".h/d.png", "e.txt"):
        put(f"{s3.url}/in/shop/{name}", b"x")
    source = Source(f"{s3.url}/in/shop", ("make it red",))
    manifest = check(source, f"{s3.url}/in")
    assert [(row["id"], row["images"]) for row in rows(manifest)] == [
        ("a/c.JPG", ["shop/a/c.JPG"]),
        ("b.png", ["shop/b.png"]),
    ]
    assert digest_of(source) == manifest.digest
    put(f"{s3.url}/in/shop/b.png", b"y")
    assert digest_of(source) != manifest.digest


def test_what_is_not_there(s3: S3) -> None:  # noqa: F811
    with pytest.raises(UnusableManifest, match="not there"):
        check(Source(f"{s3.url}/m.csv"), s3.url)


def test_images_are_not_asked_for_at_the_check(s3_alone: S3, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "m.jsonl").write_bytes(encoded("jsonl", [ROW]))
    images = InputRoot(s3_alone.url)
    s3_alone.server.stop()
    manifest = check(Source(str(tmp_path / "m.jsonl")), s3_alone.url)
    assert (manifest.faults.count, manifest.missing) == (0, 0)
    with pytest.raises(NotReady, match="does not answer"):
        images.read("a.png", 5)
    with pytest.raises(UnusableManifest, match="storage does not answer"):
        check(Source(f"{s3_alone.url}/m.csv"), s3_alone.url)
