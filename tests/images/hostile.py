"""Every kind of file the service must survive, and what it has to answer.

``HOSTILE`` is refused with an exact status and code, ``ACCEPTED`` is decoded to the given
colour. The limits are the defaults of ``LimitsConfig``.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from PIL import Image, ImageCms

from tests.images.containers import (
    PNG_MAGIC,
    anim,
    chunk,
    jpeg_ycck,
    photo,
    png,
    saved,
    solid,
    with_orientation,
)

UNUSABLE = (422, "unusable_image")
UNSUPPORTED = (415, "unsupported_media_type")

SECRET = b"canary-4711"
"""Sits in the metadata of ``gps_and_xmp`` and ``html_in_text``; must come out nowhere."""


class HostileCase(NamedTuple):
    """A file that is refused with ``status`` and ``code``."""

    name: str
    make: Callable[[], bytes]
    status: int
    code: str


class AcceptedCase(NamedTuple):
    """A file that is decoded to ``size``; its middle pixel is ``colour`` within ``tolerance``."""

    name: str
    make: Callable[[], bytes]
    size: tuple[int, int]
    colour: tuple[int, int, int]
    tolerance: int = 0


def cut(container: str, keep: float = 1.0, drop: int = 0) -> bytes:
    """A photo of which only the share ``keep`` arrived, less ``drop`` bytes."""
    data = saved(photo(), container)
    return data[: int(len(data) * keep) - drop]


def bad_crc(kind: bytes) -> bytes:
    """A PNG with one wrong checksum, in the first chunk of ``kind``."""
    data = bytearray(saved(photo(), "PNG"))
    at = data.index(kind)
    length = int.from_bytes(data[at - 4 : at], "big")
    data[at + 4 + length] ^= 0xFF
    return bytes(data)


def lying_header(width: int, height: int) -> bytes:
    """One pixel of data under a header that promises ``width`` x ``height``."""
    honest = png(1, 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return honest.replace(honest[8:33], chunk(b"IHDR", header))


def lying_jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose frame header promises ``width`` x ``height``."""
    data = bytearray(saved(photo(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@cache
def bomb() -> bytes:
    """Really 20000x20000 pixels: 400 KB that become 400 MB."""
    return png(20_000, 20_000, colour=0)


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(64 * 2**20), 9)


def text_bomb(after: bool) -> bytes:
    """64 MB of compressed comment, before or after the pixels."""
    text = chunk(b"zTXt", b"Comment\0\0" + _zeros())
    return png(40, 40, after=text) if after else png(40, 40, before=text)


def profile_bomb() -> bytes:
    """64 MB of compressed colour profile."""
    return png(40, 40, before=chunk(b"iCCP", b"profile\0\0" + _zeros()))


def polyglot_zip() -> bytes:
    """A JPEG that is a ZIP archive as well."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("run.sh", SECRET)
    return saved(solid("RGB", (10, 200, 30)), "JPEG", quality=100) + archive.getvalue()


def html_in_text() -> bytes:
    """A PNG with markup in a comment and behind its end."""
    comment = chunk(b"tEXt", b"Comment\0<script>" + SECRET + b"</script>")
    return png(40, 40, before=comment) + b"<html>" + SECRET + b"</html>"


def gps_and_xmp() -> bytes:
    """A JPEG with a place, an XMP packet, a comment and a camera's name."""
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    return saved(
        solid("RGB", (10, 200, 30)),
        "JPEG",
        quality=100,
        exif=exif.tobytes(),
        xmp=b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>",
        comment=SECRET,
    )


def mpo() -> bytes:
    """A phone's JPEG with a second picture behind the first; Pillow calls it MPO."""
    first, second = solid("RGB", (10, 200, 30)), solid("RGB", (0, 0, 0))
    return saved(first, "MPO", save_all=True, append_images=[second], quality=100)


def grey16(value: int, transparent: int | None = None) -> bytes:
    """A flat 16-bit grey PNG."""
    rows = (b"\0" + struct.pack(">H", value) * 40) * 40
    before = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    return png(40, 40, rows=rows, depth=16, colour=0, before=before)


def colour16(red: int, green: int, blue: int) -> bytes:
    """A flat 16-bit RGB PNG."""
    rows = (b"\0" + struct.pack(">HHH", red, green, blue) * 40) * 40
    return png(40, 40, rows=rows, depth=16, colour=2)


def one_bit(white: bool) -> bytes:
    return saved(solid("1", int(white)), "PNG")


def palette(alpha: bytes) -> bytes:
    """A palette PNG whose every pixel is entry 1, (200, 100, 50), of opacity ``alpha[1]``."""
    before = chunk(b"PLTE", bytes([0, 0, 0, 200, 100, 50])) + (chunk(b"tRNS", alpha) * bool(alpha))
    return png(40, 40, rows=(b"\0" + b"\1" * 40) * 40, colour=3, before=before)


def with_profile(profile: bytes) -> bytes:
    """A flat (200, 100, 50) PNG with an embedded colour profile."""
    return saved(solid("RGB", (200, 100, 50)), "PNG", icc_profile=profile)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _magic(body: bytes) -> Callable[[], bytes]:
    return lambda: body.ljust(4096, b"\0")


def _box(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand


HOSTILE: list[HostileCase] = [
    HostileCase("empty", lambda: b"", 400, "invalid_value"),
    HostileCase(
        "over_image_bytes", lambda: PNG_MAGIC + bytes(25 * 2**20), 413, "payload_too_large"
    ),
    HostileCase("text_named_png", lambda: b"this is not an image\n" * 50, *UNSUPPORTED),
    HostileCase("gif", lambda: saved(solid("P", 0), "GIF"), *UNSUPPORTED),
    HostileCase("bmp", lambda: saved(solid("RGB", 0), "BMP"), *UNSUPPORTED),
    HostileCase("tiff", lambda: saved(solid("RGB", 0), "TIFF"), *UNSUPPORTED),
    HostileCase("psd", _magic(b"8BPS\0\1"), *UNSUPPORTED),
    HostileCase("pdf", _magic(b"%PDF-1.7\n"), *UNSUPPORTED),
    HostileCase("heic", _magic(_box(b"heic")), *UNSUPPORTED),
    HostileCase("avif", _magic(_box(b"avif")), *UNSUPPORTED),
    HostileCase(
        "svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="64"/>', *UNSUPPORTED
    ),
    HostileCase("riff_wave", _magic(b"RIFF\0\0\0\0WAVEfmt "), *UNSUPPORTED),
    HostileCase("png_magic_only", lambda: PNG_MAGIC, *UNUSABLE),
    HostileCase("jpeg_magic_only", lambda: b"\xff\xd8\xff", *UNUSABLE),
    HostileCase("webp_magic_only", lambda: b"RIFF\0\0\0\0WEBP", *UNUSABLE),
    HostileCase("png_cut_at_half", partial(cut, "PNG", 0.5), *UNUSABLE),
    HostileCase("jpeg_cut_at_half", partial(cut, "JPEG", 0.5), *UNUSABLE),
    HostileCase("webp_cut_at_half", partial(cut, "WEBP", 0.5), *UNUSABLE),
    HostileCase("png_without_end", partial(cut, "PNG", drop=12), *UNUSABLE),
    HostileCase("png_without_last_byte", partial(cut, "PNG", drop=1), *UNUSABLE),
    HostileCase("jpeg_without_last_byte", partial(cut, "JPEG", drop=1), *UNUSABLE),
    HostileCase("webp_without_last_byte", partial(cut, "WEBP", drop=1), *UNUSABLE),
    HostileCase("bad_crc_of_header", partial(bad_crc, b"IHDR"), *UNUSABLE),
    HostileCase("bad_crc_of_pixels", partial(bad_crc, b"IDAT"), *UNUSABLE),
    HostileCase("header_lies_30000x30000", partial(lying_header, 30_000, 30_000), *UNUSABLE),
    HostileCase("header_lies_6000x6000", partial(lying_header, 6_000, 6_000), *UNUSABLE),
    HostileCase("jpeg_lies_60000x60000", partial(lying_jpeg, 60_000, 60_000), *UNUSABLE),
    HostileCase("bomb_20000x20000", bomb, *UNUSABLE),
    HostileCase("one_row_over_40_mp", cache(partial(png, 8_000, 5_001)), *UNUSABLE),
    HostileCase("side_10001", partial(png, 10_001, 1_100), *UNUSABLE),
    HostileCase("10001x1", partial(png, 10_001, 1), *UNUSABLE),
    HostileCase("1x1", partial(png, 1, 1), *UNUSABLE),
    HostileCase("31x31", partial(png, 31, 31), *UNUSABLE),
    HostileCase("aspect_over_10", partial(png, 401, 40), *UNUSABLE),
    HostileCase("ztxt_bomb_before_pixels", partial(text_bomb, False), *UNUSABLE),
    HostileCase("ztxt_bomb_after_pixels", partial(text_bomb, True), *UNUSABLE),
    HostileCase("iccp_bomb", profile_bomb, *UNUSABLE),
    HostileCase("apng", partial(anim, "PNG", 3), *UNUSABLE),
    HostileCase("animated_webp", partial(anim, "WEBP", 3), *UNUSABLE),
    HostileCase("apng_of_10000_frames", cache(partial(anim, "PNG", 10_000)), *UNUSABLE),
]

GREEN = (10, 200, 30)
_FLAT = (40, 40)

ACCEPTED: list[AcceptedCase] = [
    AcceptedCase("rgb_png", lambda: saved(solid("RGB", GREEN), "PNG"), _FLAT, GREEN),
    AcceptedCase(
        "lossless_webp", lambda: saved(solid("RGB", GREEN), "WEBP", lossless=True), _FLAT, GREEN
    ),
    AcceptedCase("jpeg", lambda: saved(solid("RGB", GREEN), "JPEG", quality=100), _FLAT, GREEN, 2),
    AcceptedCase("polyglot_zip", polyglot_zip, _FLAT, GREEN, 2),
    AcceptedCase("html_in_text", html_in_text, _FLAT, (0, 0, 0)),
    AcceptedCase("gps_and_xmp", gps_and_xmp, _FLAT, GREEN, 2),
    AcceptedCase("mpo", mpo, _FLAT, GREEN, 2),
    AcceptedCase("apng_of_one_frame", lambda: png(40, 40, before=one_frame()), _FLAT, (0, 0, 0)),
    AcceptedCase("32x32", partial(png, 32, 32), (32, 32), (0, 0, 0)),
    AcceptedCase("aspect_10", partial(png, 400, 40), (400, 40), (0, 0, 0)),
    # 1-bit, grey, 16-bit: round(value / 257).
    AcceptedCase("one_bit_white", partial(one_bit, True), _FLAT, (255, 255, 255)),
    AcceptedCase("one_bit_black", partial(one_bit, False), _FLAT, (0, 0, 0)),
    AcceptedCase("grey", lambda: saved(solid("L", 77), "PNG"), _FLAT, (77, 77, 77)),
    AcceptedCase("grey16_white", partial(grey16, 65_535), _FLAT, (255, 255, 255)),
    AcceptedCase("grey16_middle", partial(grey16, 32_768), _FLAT, (128, 128, 128)),
    AcceptedCase("grey16_dark", partial(grey16, 386), _FLAT, (2, 2, 2)),
    AcceptedCase("grey16_transparent", partial(grey16, 1000, 1000), _FLAT, (255, 255, 255)),
    AcceptedCase("grey16_opaque", partial(grey16, 1000, 1001), _FLAT, (4, 4, 4)),
    AcceptedCase("colour16", partial(colour16, 0x1234, 0x5678, 0x9ABC), _FLAT, (0x12, 0x56, 0x9A)),
    # Flattened on white: round(colour * a + 255 * (1 - a)), with a = opacity / 255.
    AcceptedCase(
        "rgba_half",
        lambda: saved(solid("RGBA", (200, 100, 50, 128)), "PNG"),
        _FLAT,
        (227, 177, 152),
        1,
    ),
    AcceptedCase(
        "rgba_clear", lambda: saved(solid("RGBA", (9, 9, 9, 0)), "PNG"), _FLAT, (255, 255, 255)
    ),
    AcceptedCase(
        "webp_alpha",
        lambda: saved(solid("RGBA", (200, 100, 50, 128)), "WEBP", lossless=True),
        _FLAT,
        (227, 177, 152),
        1,
    ),
    AcceptedCase(
        "grey_alpha", lambda: saved(solid("LA", (100, 51)), "PNG"), _FLAT, (224, 224, 224), 1
    ),
    AcceptedCase("palette", partial(palette, b""), _FLAT, (200, 100, 50)),
    AcceptedCase("palette_half", partial(palette, b"\xff\x80"), _FLAT, (227, 177, 152), 1),
    # Inks: 255 * (1 - ink) * (1 - black).
    AcceptedCase(
        "cmyk",
        lambda: saved(solid("CMYK", (0, 128, 255, 64)), "JPEG", quality=100),
        _FLAT,
        (191, 95, 0),
        3,
    ),
    AcceptedCase("ycck", partial(jpeg_ycck, (0, 128, 255, 64)), _FLAT, (191, 95, 0), 3),
    AcceptedCase("srgb_profile", lambda: with_profile(srgb_profile()), _FLAT, (200, 100, 50)),
    AcceptedCase("broken_profile", lambda: with_profile(b"\0" * 500), _FLAT, (200, 100, 50)),
    *(
        AcceptedCase(
            f"nonsense_orientation_{name}",
            partial(with_orientation, solid("RGB", GREEN, (48, 32)), "PNG", value, kind),
            (48, 32),
            GREEN,
        )
        for name, value, kind in (
            ("zero", b"\0\0", 3),
            ("nine", b"\0\x09", 3),
            ("65535", b"\xff\xff", 3),
            ("text", b"6\0", 2),
            ("float", struct.pack(">f", 6.5), 11),
            ("unknown_type", b"\0\6", 99),
        )
    ),
]


def one_frame() -> bytes:
    """The animation header of a PNG that has a single frame after all."""
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = struct.pack(">IIIIIHHBB", 0, 40, 40, 0, 0, 1, 10, 0, 0)
    return control + chunk(b"fcTL", frame)
