"""Decoding in processes that can be stopped, and a memory of what was decoded lately.

A decoder is the part of the service that meets hostile bytes: it may loop, swell or
crash. It runs in a process of its own, is killed at its deadline, and takes nothing else
down with it. The same picture often comes again (another instruction, another seed), so
decoded pixels are kept by the digest of the file, within a budget of bytes. Requests that
bring it while it is being decoded share that one decoding.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cachetools import LRUCache
from numpy.typing import NDArray
from pebble import ProcessExpired, ProcessPool

from serve_app.config import LimitsConfig
from serve_app.errors import ImageTooSlow, NotReady, Overloaded, UnusableImage
from serve_app.images.decoding import decode, decode_opacity
from serve_app.images.limits import check_bytes
from serve_app.images.mask_reading import read_mask, read_stored_mask
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage

Decoded = TypeVar("Decoded", DecodedImage, EditMask)
Reader = Callable[[bytes, LimitsConfig, str], Decoded]
Decoder = Reader[DecodedImage]

# A full queue is some seconds long: most images take a tenth of one.
_RETRY_AFTER_S = 2.0


@dataclass(slots=True)
class _Shared(Generic[Decoded]):
    """One decoding, and how many callers wait for it."""

    task: asyncio.Task[Decoded]
    waiting: int = 0


class DecodePool:
    """Decodes in ``limits.decode_processes`` processes; use it from one event loop.

    The processes are spawned, not forked: the owner has threads. They start with the
    first image, or with ``warm``. ``decoder`` is replaced in tests only; it must be a
    function that a fresh process can import.
    """

    def __init__(self, limits: LimitsConfig, decoder: Decoder = decode) -> None:
        self._limits = limits
        self._decoder = decoder
        self._pool: ProcessPool | None = None
        self._closed = False
        # One file may come as an image and as a mask.
        self._recent: LRUCache[tuple[Reader[Any], bytes], Any] = LRUCache(
            limits.decoded_cache_bytes, getsizeof=lambda decoded: _array(decoded).nbytes
        )
        # By digest and field: the field is part of errors, which are shared too.
        self._in_flight: dict[tuple[Reader[Any], bytes, str], _Shared[Any]] = {}

    async def warm(self) -> None:
        """Start the processes, so that the first image does not wait for them."""
        pool = await self._running_pool()
        # Receiving the readers as an argument makes the process import their modules.
        await asyncio.wrap_future(pool.schedule(callable, args=((self._decoder, read_mask),)))

    async def decode(
        self, data: bytes, param: str = "image", *, stored: bool = False
    ) -> DecodedImage:
        """Decode ``data``; its pixels are read-only, for they may be shared.

        ``param`` names the request field in errors. What we ``stored`` ourselves may have
        any number of bytes: the upload was held to the limit, and its PNG can be larger.

        Raises what ``decoding.decode`` raises, ``ImageTooSlow`` (422) after
        ``limits.decode_s`` of decoding (waiting for a free process does not count),
        ``Overloaded`` (429) when ``limits.pending_decodes`` other images are in hand, and
        ``NotReady`` (503) after ``close``, or if processes keep dying. The decoder stops
        when the last task that awaits this image is cancelled.
        """
        return await self._read(self._decoder, data, param, stored)

    async def read_opacity(self, data: bytes, param: str = "image") -> DecodedImage:
        """Read how opaque ``data`` is, as ``decoding.decode_opacity``; rules as in ``decode``."""
        return await self._read(decode_opacity, data, param, False)

    async def read_mask(
        self, data: bytes, param: str = "mask", *, stored: bool = False
    ) -> EditMask:
        """Read ``data`` as a mask, under the same rules as ``decode``.

        ``UnusableMask`` (422) for a stored one that is not in black and white.
        """
        return await self._read(read_stored_mask if stored else read_mask, data, param, stored)

    async def _read(
        self, reader: Reader[Decoded], data: bytes, param: str, stored: bool
    ) -> Decoded:
        limits = self._limits
        if stored and len(data) > limits.image_bytes:
            limits = limits.model_copy(update={"image_bytes": len(data)})
        check_bytes(data, limits, param)
        # Hashing 25 MB takes longer than a loop should stand still.
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).digest())
        known: Decoded | None = self._recent.get((reader, digest))
        if known is not None:
            return known
        decoded = await self._shared(reader, digest, param, data, limits)
        if _array(decoded).nbytes <= self._recent.maxsize:
            self._recent[reader, digest] = decoded
        return decoded

    def close(self) -> None:
        """Stop the processes (blocks for some 0.2 s), forget the images. Repeating is harmless."""
        self._closed = True
        self._recent.clear()
        if self._pool is not None:
            _stop(self._pool)
            self._pool = None

    async def _shared(
        self,
        reader: Reader[Decoded],
        digest: bytes,
        param: str,
        data: bytes,
        limits: LimitsConfig,
    ) -> Decoded:
        """Wait for the one decoding of ``data``, begun by whoever comes first."""
        key = (reader, digest, param)
        shared: _Shared[Decoded] | None = self._in_flight.get(key)
        if shared is None:
            if len(self._in_flight) >= self._limits.pending_decodes:
                raise Overloaded(
                    "Too many images are waiting to be decoded; try again.", None, _RETRY_AFTER_S
                )
            task = asyncio.create_task(self._read_apart(reader, data, limits, param))
            shared = self._in_flight[key] = _Shared(task)
        shared.waiting += 1
        try:
            # Unlike awaiting the task, this leaves it alone when one caller is cancelled.
            await asyncio.wait((shared.task,))
        finally:
            shared.waiting -= 1
            # Forgotten at once: nobody shall join what is being cancelled.
            if shared.waiting == 0:
                del self._in_flight[key]
                shared.task.cancel()
                await asyncio.gather(shared.task, return_exceptions=True)
        return shared.task.result()

    async def _read_apart(
        self, reader: Reader[Decoded], data: bytes, limits: LimitsConfig, param: str
    ) -> Decoded:
        # A process that dies idle (out of memory elsewhere) breaks the whole pool, and
        # whoever comes next: that request is tried again on a new pool, once.
        for _ in range(2):
            pool = await self._running_pool()
            future = pool.schedule(
                reader,
                args=(data, limits, param),
                timeout=limits.decode_s,
            )
            try:
                decoded: Decoded = await asyncio.wrap_future(future)
            except BrokenProcessPool:
                continue
            except TimeoutError as error:
                raise ImageTooSlow(
                    f"Decoding the image took longer than {limits.decode_s:g} seconds.",
                    param,
                ) from error
            except ProcessExpired as error:
                raise UnusableImage("The image is damaged and can't be decoded.", param) from error
            else:
                _array(decoded).flags.writeable = False
                return decoded
        raise NotReady("Images can't be decoded at the moment; try again.", param, 1.0)

    async def _running_pool(self) -> ProcessPool:
        if self._closed:
            raise NotReady("The service is shutting down.")
        broken = None if self._pool is None or self._pool.active else self._pool
        if self._pool is None or broken is not None:
            self._pool = ProcessPool(
                max_workers=self._limits.decode_processes,
                context=multiprocessing.get_context("spawn"),
            )
        pool = self._pool
        if broken is not None:
            await asyncio.to_thread(_stop, broken)
        return pool


def _array(decoded: DecodedImage | EditMask) -> NDArray[Any]:
    return decoded.editable if isinstance(decoded, EditMask) else decoded.pixels


def _stop(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()
