"""The pool, with decoders that hang or die on purpose; they run in its processes."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.config import LimitsConfig
from serve_app.errors import (
    EditServiceError,
    ImageTooSlow,
    InvalidRequest,
    NotReady,
    Overloaded,
    PayloadTooLarge,
    UnsupportedMediaType,
    UnusableImage,
)
from serve_app.images.decode_pool import DecodePool, Decoder
from serve_app.images.decoding import decode
from serve_app.images.pixels import DecodedImage
from tests.images.containers import photo, png, saved

PHOTO = saved(photo(), "PNG")


def hang(data: bytes, limits: LimitsConfig, param: str) -> DecodedImage:
    """Never end, except for the photo."""
    while data != PHOTO:
        pass
    return decode(data, limits, param)


def die(data: bytes, limits: LimitsConfig, param: str) -> DecodedImage:
    """Crash as a broken C library does, except for the photo."""
    if data != PHOTO:
        os._exit(3)
    return decode(data, limits, param)


def held(data: bytes, limits: LimitsConfig, param: str) -> DecodedImage:
    """Decode once the test has opened the gate, a named pipe."""
    with Path(os.environ["GATE"]).open():
        return decode(data, limits, param)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pipe that ``held`` waits at, in processes started from now on."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    monkeypatch.setenv("GATE", str(path))
    return path


async def let_through(gate: Path, waiting: asyncio.Future[Any]) -> None:
    """Open the gate to whoever stands there until ``waiting`` is done."""
    while not waiting.done():
        with suppress(OSError):  # nobody is there
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fresh processes import this module, whatever folder pytest was started in."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@asynccontextmanager
async def pool(limits: LimitsConfig, decoder: Decoder = decode) -> AsyncIterator[DecodePool]:
    opened = DecodePool(limits, decoder)
    try:
        yield opened
    finally:
        opened.close()


async def test_decodes_apart_and_remembers() -> None:
    async with pool(LimitsConfig()) as decoders:
        await decoders.warm()
        image = await decoders.decode(PHOTO)
        assert np.array_equal(image.pixels, np.asarray(photo()))
        assert image.id == DecodedImage.of(image.pixels).id
        assert not image.pixels.flags.writeable
        assert await decoders.decode(bytes(bytearray(PHOTO))) is image


async def test_one_file_may_be_an_image_and_a_mask() -> None:
    async with pool(LimitsConfig()) as decoders:
        mask, image = await asyncio.gather(decoders.read_mask(PHOTO), decoders.decode(PHOTO))
        assert np.array_equal(mask.editable, np.asarray(photo().convert("L")) >= 128)
        assert not mask.editable.flags.writeable
        assert await decoders.read_mask(PHOTO, "other") is mask
        assert await decoders.decode(PHOTO) is image
        with pytest.raises(UnusableImage) as caught:
            await decoders.read_mask(PHOTO[:-20])
        assert caught.value.param == "mask"


async def test_the_memory_is_bounded_in_bytes() -> None:
    files = [png(32, 32 + index) for index in range(3)]
    two = LimitsConfig(decoded_cache_bytes=2 * 32 * 34 * 3)
    async with pool(two) as decoders:
        first = [await decoders.decode(file) for file in files]
        again = [await decoders.decode(file) for file in reversed(files)]
        assert again[0] is first[2]
        assert again[1] is first[1]
        assert again[2] is not first[0]
    async with pool(LimitsConfig(decoded_cache_bytes=0)) as decoders:
        assert await decoders.decode(PHOTO) is not await decoders.decode(PHOTO)


async def test_errors_keep_their_type_and_field() -> None:
    async with pool(LimitsConfig()) as decoders:
        with pytest.raises(UnusableImage) as caught:
            await decoders.decode(PHOTO[:-20], "image[]")
        error: EditServiceError = caught.value
        assert (error.code, error.status, error.param) == ("unusable_image", 422, "image[]")
        assert error.message == "The image is damaged and can't be decoded."


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", InvalidRequest), (PHOTO * 9, PayloadTooLarge), (b"GIF89a", UnsupportedMediaType)],
)
async def test_bytes_are_judged_without_a_process(
    data: bytes, error: type[EditServiceError]
) -> None:
    decoders = DecodePool(LimitsConfig(image_bytes=len(PHOTO) * 8))
    with pytest.raises(error) as caught:
        await decoders.decode(data, "mask")
    assert caught.value.param == "mask"
    assert decoders._pool is None


async def test_a_decoder_past_its_deadline_is_killed_and_replaced() -> None:
    async with pool(LimitsConfig(decode_s=0.5), hang) as decoders:
        with pytest.raises(ImageTooSlow) as caught:
            await decoders.decode(png(40, 40))
        assert (caught.value.status, caught.value.param) == (422, "image")
        assert (await decoders.decode(PHOTO)).width == photo().width


async def test_the_loop_runs_while_a_decoder_hangs() -> None:
    async with pool(LimitsConfig(decode_s=0.3), hang) as decoders:
        await decoders.warm()
        stuck = asyncio.create_task(decoders.decode(png(40, 40)))
        turns = 0
        while not stuck.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert turns > 20
        assert isinstance(stuck.exception(), ImageTooSlow)


async def test_a_decoder_that_dies_costs_only_its_own_image() -> None:
    async with pool(LimitsConfig(), die) as decoders:
        with pytest.raises(UnusableImage) as caught:
            await decoders.decode(png(40, 40))
        assert caught.value.code == "unusable_image"
        assert (await decoders.decode(PHOTO)).width == photo().width


async def test_an_idle_process_that_dies_is_replaced() -> None:
    async with pool(LimitsConfig(decoded_cache_bytes=0)) as decoders:
        await decoders.decode(PHOTO)
        for worker in multiprocessing.active_children():
            worker.kill()
            worker.join()
        assert (await decoders.decode(PHOTO)).width == photo().width


async def test_a_cancelled_request_frees_its_process() -> None:
    async with pool(LimitsConfig(decode_s=60.0), hang) as decoders:
        await decoders.warm()
        stuck = asyncio.create_task(decoders.decode(png(40, 40)))
        await asyncio.sleep(0.1)
        stuck.cancel()
        assert (await asyncio.wait_for(decoders.decode(PHOTO), 20)).width == photo().width


async def test_closing_twice_is_harmless_and_final() -> None:
    decoders = DecodePool(LimitsConfig())
    await decoders.decode(PHOTO)
    decoders.close()
    decoders.close()
    assert not multiprocessing.active_children()
    with pytest.raises(NotReady):
        await decoders.decode(PHOTO)


async def waiting(decoders: DecodePool, callers: int) -> None:
    """Return once so many callers wait for the one image in hand."""
    while sum(shared.waiting for shared in decoders._in_flight.values()) < callers:
        await asyncio.sleep(0)


async def under_way(decoders: DecodePool, count: int) -> None:
    """Wait until ``count`` different images are in hand."""
    async with asyncio.timeout(20):
        while len(decoders._in_flight) != count:
            await asyncio.sleep(0.001)


async def test_callers_at_the_same_time_share_one_decoding() -> None:
    async with pool(LimitsConfig(decoded_cache_bytes=0, pending_decodes=1)) as decoders:
        images = await asyncio.gather(*(decoders.decode(PHOTO) for _ in range(50)))
        assert len({id(image) for image in images}) == 1
        assert not images[0].pixels.flags.writeable
        assert decoders._in_flight == {}


@pytest.mark.parametrize("leaver", [0, 1, 2])
async def test_a_caller_that_leaves_does_not_end_the_decoding(leaver: int, gate: Path) -> None:
    async with pool(LimitsConfig(decoded_cache_bytes=0, decode_s=60.0), held) as decoders:
        callers = [asyncio.create_task(decoders.decode(PHOTO)) for _ in range(3)]
        await waiting(decoders, 3)
        callers[leaver].cancel()
        answers = asyncio.gather(*callers, return_exceptions=True)
        await let_through(gate, answers)
        results = await answers
        assert isinstance(results.pop(leaver), asyncio.CancelledError)
        assert isinstance(results[0], DecodedImage)
        assert results[0] is results[1]


async def test_when_all_have_left_the_next_one_begins_anew(gate: Path) -> None:
    async with pool(LimitsConfig(decode_s=60.0), held) as decoders:
        callers = [asyncio.create_task(decoders.decode(PHOTO)) for _ in range(3)]
        await waiting(decoders, 3)
        for caller in callers:
            caller.cancel()
        again = asyncio.create_task(decoders.decode(PHOTO))
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        await let_through(gate, again)
        assert (await again).width == photo().width


async def test_a_shared_failure_names_the_field_of_each_caller() -> None:
    async with pool(LimitsConfig()) as decoders:
        params = ["image", "image", "file", "file"]
        failures = await asyncio.gather(
            *(decoders.decode(PHOTO[:-20], param) for param in params), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [UnusableImage] * 4
        assert [failure.param for failure in failures] == params  # type: ignore[union-attr]


async def test_a_full_queue_refuses_other_images() -> None:
    async with pool(LimitsConfig(decode_s=60.0, pending_decodes=2), hang) as decoders:
        stuck = [asyncio.create_task(decoders.decode(png(40, 40 + i % 2))) for i in range(4)]
        await under_way(decoders, 2)
        with pytest.raises(Overloaded) as caught:
            await decoders.decode(PHOTO)
        assert caught.value.status == 429
        assert caught.value.retry_after_s is not None
        assert not any(caller.done() for caller in stuck)
        for caller in stuck:
            caller.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        assert (await decoders.decode(PHOTO)).width == photo().width


async def test_stored_files_may_have_more_bytes_but_not_more_pixels() -> None:
    async with pool(LimitsConfig(image_bytes=len(PHOTO) - 1, image_pixels=64 * 48)) as decoders:
        with pytest.raises(PayloadTooLarge):
            await decoders.decode(PHOTO)
        assert (await decoders.decode(PHOTO, stored=True)).width == 64
        with pytest.raises(PayloadTooLarge):
            await decoders.decode(PHOTO)
        with pytest.raises(UnusableImage):
            await decoders.decode(png(64, 49), stored=True)
