"""Checked rows as Parquet, some thousand a part."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.bulk.manifest.fields import AskedRow
from serve_app.bulk.row import Fault

INPUT = "input."
"""Before the names of the manifest's own columns."""

_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        ("images", pa.list_(pa.string())),
        ("mask", pa.string()),
        ("asked", pa.string()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
    ]
)


@dataclass(slots=True)
class Part:
    """Rows of one part, column by column."""

    numbers: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    images: list[tuple[str, ...]] = field(default_factory=list)
    masks: list[str | None] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    codes: list[str | None] = field(default_factory=list)
    messages: list[str | None] = field(default_factory=list)

    def add(self, number: int, row_id: str, row: AskedRow) -> None:
        """Add a row that can be run."""
        self._add(number, row_id, row.images, row.mask, row.asked, None, None)

    def add_fault(self, fault: Fault) -> None:
        """Add a row that can't."""
        self._add(fault.number, fault.id, (), None, None, fault.code, fault.message)

    def encoded(self, carried: pa.Table) -> bytes:
        """All rows with the columns of the manifest, as a Parquet file."""
        columns = [
            self.numbers,
            self.ids,
            self.images,
            self.masks,
            self.asked,
            self.codes,
            self.messages,
        ]
        arrays = [pa.array(c, kind.type) for c, kind in zip(columns, _SCHEMA, strict=True)]
        fields = [*_SCHEMA, *(one.with_name(f"{INPUT}{one.name}") for one in carried.schema)]
        table = pa.table([*arrays, *carried.columns], schema=pa.schema(fields))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", compression_level=1)
        return bytes(sink.getvalue())

    def _add(
        self,
        number: int,
        row_id: str,
        images: tuple[str, ...],
        mask: str | None,
        asked: str | None,
        code: str | None,
        message: str | None,
    ) -> None:
        self.numbers.append(number)
        self.ids.append(row_id)
        self.images.append(images)
        self.masks.append(mask)
        self.asked.append(asked)
        self.codes.append(code)
        self.messages.append(message)
