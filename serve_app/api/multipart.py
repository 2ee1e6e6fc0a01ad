"""Multipart forms, read strictly and in memory.

The body limit bounds the memory, so parts need no temporary files, and none can be left
behind. Unlike lenient parsers this one refuses text that is not UTF-8 and a body that ends
before its closing boundary, instead of guessing.
"""

from __future__ import annotations

from collections.abc import AsyncIterable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve_app.errors import InvalidRequest

MAX_PARTS = 64

FormValue = str | bytes
"""The text of a field, or the bytes of a file part. File names are never looked at."""


async def read_form(content_type: str, body: AsyncIterable[bytes]) -> list[tuple[str, FormValue]]:
    """Parse ``body`` into its parts, in order.

    Raises:
        InvalidRequest: If the form is malformed.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("The Content-Type has no multipart boundary.")
    form = _Form()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_headers_finished": form.on_headers_finished,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_end": form.on_end,
            },
        )
        async for chunk in body:
            parser.write(chunk)
    except FormParserError as error:
        raise InvalidRequest("The multipart body is malformed.") from error
    if not form.ended:
        raise InvalidRequest("The multipart body ends before its closing boundary.")
    return form.parts


class _Form:
    """Collects what the parser finds."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, FormValue]] = []
        self.ended = False
        self._name = ""
        self._is_file = False
        self._data = bytearray()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition: bytes | None = None

    def on_part_begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} parts.")
        self._data = bytearray()
        self._disposition = None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise InvalidRequest("A part of the form has no name.")
        self._name = _text(options[b"name"], None)
        self._is_file = b"filename" in options

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        value = bytes(self._data) if self._is_file else _text(self._data, self._name)
        self.parts.append((self._name, value))

    def on_end(self) -> None:
        self.ended = True


def _text(data: bytes | bytearray, param: str | None) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("Text in a form must be UTF-8.", param) from None
