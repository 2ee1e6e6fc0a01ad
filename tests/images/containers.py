"""Small files built byte by byte or by Pillow, for the tests of reading images."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """A PNG chunk, with a checksum of its own if given."""
    checksum = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(
    width: int,
    height: int,
    *,
    rows: bytes | None = None,
    depth: int = 8,
    colour: int = 2,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG of raw ``rows`` (each with its filter byte; black if not given).

    ``colour`` is 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA; ``before`` and
    ``after`` are whole chunks around the pixels.
    """
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if rows is None:
        row = bytes(1 + (width * channels * depth + 7) // 8)
        squeeze = zlib.compressobj(9)
        body = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    else:
        body = zlib.compress(rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        PNG_MAGIC
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", body)
        + after
        + chunk(b"IEND", b"")
    )


def photo(width: int = 64, height: int = 48) -> Image.Image:
    """A picture without symmetry, smooth enough to survive JPEG."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack(
        [x * 255 // width, y * 255 // height, (x + 2 * y) * 255 // (width + 2 * height)], axis=-1
    )
    return Image.fromarray(pixels.astype(np.uint8))


def saved(image: Image.Image, container: str, **options: Any) -> bytes:
    """``image`` as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def solid(mode: str, colour: Any, size: tuple[int, int] = (40, 40)) -> Image.Image:
    return Image.new(mode, size, colour)


def jpeg_ycck(ink: tuple[int, int, int, int]) -> bytes:
    """A flat Adobe YCCK JPEG of four inks (0 none, 255 full).

    Pillow writes only plain CMYK: its Adobe marker is set to transform 2 (YCCK) and the
    colour is stored as YCC, so that a reader has to convert.
    """
    # Adobe stores inks inverted, and YCCK is the YCC of the inverse of what is stored.
    red, green, blue, black = ink
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    ycc = (y, 128 + 0.564 * (blue - y), 128 + 0.713 * (red - y))
    # Pillow inverts what it writes as CMYK.
    written = (*(255 - round(value) for value in ycc), black)
    data = saved(solid("CMYK", written), "JPEG", quality=100)
    at = data.index(b"Adobe")
    return data[: at + 11] + b"\x02" + data[at + 12 :]


def anim(container: str, frames: int) -> bytes:
    """An animation of ``frames`` frames of 32x32."""
    first, *rest = [
        solid("RGB", (index * 83 % 251, index // 251, 0), (32, 32)) for index in range(frames)
    ]
    return saved(first, container, save_all=True, append_images=rest, duration=10)


def with_orientation(image: Image.Image, container: str, value: bytes, kind: int = 3) -> bytes:
    """``image``, lossless, with an EXIF orientation of TIFF type ``kind`` (3 is a short).

    ``value`` is its big-endian bytes, at most four.
    """
    entry = struct.pack(">HHI", 0x0112, kind, 1) + value.ljust(4, b"\0")
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    return saved(image, container, exif=b"Exif\0\0" + tiff, lossless=True)


def display_p3() -> bytes:
    """A minimal Display P3 profile (ICC v4): primaries, white point, the sRGB curve."""
    curve = b"para\0\0\0\0\0\3\0\0" + _s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    text = b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", 4, 28)
    text += "P3".encode("utf-16-be")
    tags = {
        b"desc": text,
        b"cprt": text,
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": _xyz(0.515102, 0.241182, -0.001050),
        b"gXYZ": _xyz(0.291965, 0.692236, 0.041882),
        b"bXYZ": _xyz(0.157153, 0.066582, 0.784378),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I", start + len(body)) + b"\0\0\0\0\x04\0\0\0mntrRGB XYZ " + bytes(12)
    header += b"acsp" + bytes(28) + _s15(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(*values)
