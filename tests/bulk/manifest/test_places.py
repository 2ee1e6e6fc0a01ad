"""Places: normalised, and never outside of the input root."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import uuid
from pathlib import Path, PurePosixPath

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.manifest.places import InputRoot
from serve_app.errors import (
    ConfigurationError,
    ImageNotFound,
    InvalidRequest,
    NotReady,
    OutsideInputRoot,
    PayloadTooLarge,
)

LOCAL = InputRoot("/data/rows")
REMOTE = InputRoot("memory://bucket/rows")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a.png", "a.png"),
        ("./a//b.png", "a/b.png"),
        ("a/./b.png", "a/b.png"),
        ("가구/소파 1.png", "가구/소파 1.png"),
        ("a..b/...png", "a..b/...png"),
        (".hidden/a.png", ".hidden/a.png"),
        ("a:b.png", "a:b.png"),
        ("a~b.png", "a~b.png"),
    ],
)
def test_relative_places_are_normalised(text: str, place: str) -> None:
    assert LOCAL.place(text) == place
    assert REMOTE.place(text) == place


@pytest.mark.parametrize(
    "text",
    ["/data/rows/a/b.png", "//data//rows/./a/b.png", "file:///data/rows/a/b.png",
     "file:/data/rows/a/b.png", "local:///data/rows/a/b.png"],
)  # fmt: skip
def test_absolute_places_below_the_root(text: str) -> None:
    assert LOCAL.place(text) == "a/b.png"


def test_urls_below_the_root() -> None:
    assert REMOTE.place("memory://bucket/rows/a/b.png") == "a/b.png"
    assert InputRoot("s3://bucket/rows").place("s3a://bucket/rows//a.png") == "a.png"
    assert InputRoot("s3://bucket").place("s3://bucket/rows/a.png") == "rows/a.png"


OUTSIDE = [
    "..", "../a.png", "a/../b.png", "a/..", "/data/rows/../a.png", "~", "~/a.png", "~root/a.png",
    "/etc/passwd", "/data/rowsa/b.png", "/data", "/", "file:///etc/passwd",
    "file://host/data/rows/a.png", "s3://other/rows/a.png", "http://127.0.0.1/a.png",
    "zip://a.png::/data/rows/a.zip", "simplecache::memory://bucket/rows/a.png",
]  # fmt: skip


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_is_outside_is_refused(text: str) -> None:
    for root in (LOCAL, REMOTE, InputRoot("s3://bucket/rows")):
        with pytest.raises(OutsideInputRoot, match=r"^`mask` must lie below") as caught:
            root.place(text, "mask")
        assert caught.value.param == "mask"


DECODED = [
    "%2e%2e/a.png", "a/%2E./b.png", "a%2f..%2fb.png", "..%2fa.png", "..\\a.png", "a\\..\\b.png",
    "%252e%252e/a.png", "a/%25252e%25252e/b.png", "a/..%5cb.png", "%2e%2e%255Ca.png",
]  # fmt: skip


@pytest.mark.parametrize("text", DECODED)
def test_a_remote_root_is_not_left_by_what_is_decoded(text: str) -> None:
    for root in (REMOTE, InputRoot("s3://bucket/rows")):
        for written in (text, f"{root._root.absolute}/{text}"):
            with pytest.raises(OutsideInputRoot, match=r"^`image` must lie below"):
                root.place(written)
    # A folder has names as they are written.
    assert LOCAL.place(text) == text


@pytest.mark.parametrize("text", ["100%.png", "a%20b.png", "a%2fb.png", "a\\b.png", "%2e.png"])
def test_a_remote_root_keeps_what_stays_below(text: str) -> None:
    assert REMOTE.place(text) == text


@pytest.mark.parametrize("text", ["/data/rows/a.png", "memory://other/rows/a.png"])
def test_a_remote_root_has_nothing_elsewhere(text: str) -> None:
    with pytest.raises(OutsideInputRoot):
        REMOTE.place(text)


@pytest.mark.parametrize(
    "text", ["", "  ", ".", "./", "/data/rows", "a\0.png", "a\n.png", "\x7f", "\ud800", "a" * 5000]
)
def test_what_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        LOCAL.place(text)
    assert caught.value.message.startswith("`image` must ")


SEGMENTS = st.sampled_from(
    ["a", "b.png", "..", ".", "", "~", "data", "rows", "file:", "é", " ", "::"]
)


@given(st.lists(SEGMENTS, max_size=8).map("/".join) | st.text(max_size=30))
def test_a_place_is_below_and_stays_what_it_is(text: str) -> None:
    try:
        place = LOCAL.place(text)
    except InvalidRequest:
        return
    parts = place.split("/")
    assert parts
    assert not {"", ".", ".."} & set(parts)
    assert not place.startswith("/")
    assert os.path.normpath(f"/data/rows/{place}") == f"/data/rows/{place}"
    if not text.startswith("/") and ":/" not in text:
        assert PurePosixPath(place) == PurePosixPath(text)


def test_an_unknown_storage() -> None:
    with pytest.raises(ConfigurationError, match="input root must be a path"):
        InputRoot("nothing://x")


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1/images", "HTTPS://example.org", "ftp://example.org/a", "data:,x",
     "simplecache::s3://bucket", "zip://::/data/a.zip", "a::b"],
)  # fmt: skip
def test_the_web_and_chains_are_no_roots(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a path, or a URL of object storage"):
        InputRoot(text)


def test_a_relative_root_is_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "photos"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"image")
    monkeypatch.chdir(tmp_path / "work")
    for text in ("../photos", f"{tmp_path}/work/.././photos/", f"file://{tmp_path}/work/../photos"):
        images = InputRoot(text)
        assert images.place(f"{tmp_path}/photos/a.png") == "a.png"
        assert images.read("a.png", 5) == b"image"
        with pytest.raises(OutsideInputRoot):
            images.place(f"{tmp_path}/work/a.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b.png").write_bytes(b"image")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(b"secret")
    return folder


def test_reading(root: Path) -> None:
    images = pickle.loads(pickle.dumps(InputRoot(str(root))))
    assert images.read("a/b.png", 5) == b"image"
    with pytest.raises(PayloadTooLarge, match="at most 4 bytes"):
        images.read("a/b.png", 4)
    for place in ("a/c.png", "a", "a/b.png/c", "x" * 300, "c/d/e.png"):
        with pytest.raises(ImageNotFound):
            images.read(place, 5)
    for place in ("../outside/secret.png", "", "a/../../outside/secret.png"):
        with pytest.raises(OutsideInputRoot):
            images.read(place, 100)


def test_what_is_no_file_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(root / "s.png"))
        for place in ("pipe.png", "s.png"):
            with pytest.raises(ImageNotFound):
                InputRoot(str(root)).read(place, 100)


def test_links_within_the_root_are_followed(root: Path) -> None:
    (root / "alias").symlink_to(root.parent / "root")
    (root.parent / "also").symlink_to("root")
    (root / "one.png").symlink_to("a/b.png")
    (root / "a" / "two.png").symlink_to("../one.png")
    (root / "three.png").symlink_to(root / "a" / "two.png")
    (root / "folder").symlink_to("a", target_is_directory=True)
    (root / "four.png").symlink_to(root.parent / "also" / "folder" / "b.png")
    for images in (InputRoot(str(root)), InputRoot(str(root.parent / "also"))):
        for place in ("one.png", "a/two.png", "three.png", "folder/b.png", "alias/folder/two.png"):
            assert images.read(place, 5) == b"image"
    assert InputRoot(str(root.parent / "also")).read("four.png", 5) == b"image"


def test_links_out_of_the_root_are_not(root: Path) -> None:
    (root / "one.png").symlink_to(root.parent / "outside" / "secret.png")
    (root / "two.png").symlink_to("../outside/secret.png")
    (root / "out").symlink_to("../outside", target_is_directory=True)
    (root / "a" / "three.png").symlink_to("../one.png")
    (root / "four.png").symlink_to("a/../../root/a/b.png")
    (root / "five.png").symlink_to(root / ".." / "outside" / "secret.png")
    for place in (
        "one.png",
        "two.png",
        "out/secret.png",
        "out/x",
        "a/three.png",
        "four.png",
        "five.png",
    ):
        with pytest.raises(OutsideInputRoot):
            InputRoot(str(root)).read(place, 100)


def test_links_that_go_round(root: Path) -> None:
    (root / "one.png").symlink_to("two.png")
    (root / "two.png").symlink_to("one.png")
    (root / "dangling.png").symlink_to("nowhere.png")
    for place in ("one.png", "dangling.png"):
        with pytest.raises(ImageNotFound):
            InputRoot(str(root)).read(place, 100)


def test_no_file_outside_is_opened(root: Path) -> None:
    (root / "out").symlink_to("../outside", target_is_directory=True)
    opened: list[str] = []
    listening = True

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event in ("open", "os.listdir", "os.scandir"):
            opened.append(str(arguments[0]))

    sys.addaudithook(listen)
    images = InputRoot(str(root))
    with pytest.raises(OutsideInputRoot):
        images.read("out/secret.png", 100)
    listening = False
    assert opened == []


def test_a_root_that_is_away(root: Path) -> None:
    images = InputRoot(str(root))
    root.rename(root.with_name("moved"))
    with pytest.raises(NotReady, match="does not answer") as caught:
        images.read("a/b.png", 100)
    assert caught.value.retry_after_s is not None


def test_reading_from_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"memory://{uuid.uuid4().hex}"
    fs = fsspec.filesystem("memory")
    fs.pipe({f"{place}/a/b.png": b"image", f"{place}/empty.png": b""})
    images = InputRoot(place)
    assert images.read("a/b.png", 5) == b"image"
    assert images.read("empty.png", 5) == b""
    with pytest.raises(PayloadTooLarge):
        images.read("a/b.png", 4)
    for missing in ("a", "c.png"):
        with pytest.raises(ImageNotFound):
            images.read(missing, 5)

    def away(path: str) -> None:
        raise RuntimeError("the library's words")

    monkeypatch.setattr(images._root.fs, "info", away)
    with pytest.raises(NotReady) as caught:
        images.read("a/b.png", 5)
    assert "words" not in caught.value.message
