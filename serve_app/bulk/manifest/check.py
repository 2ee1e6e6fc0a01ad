"""A manifest is checked whole, before any device is used: every row, and all that is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from serve_app.api.edit_parameters import EditParameters
from serve_app.api.model_fields import parse_model
from serve_app.bulk.manifest.csv_file import read_csv
from serve_app.bulk.manifest.fields import AskedRow, FieldReader
from serve_app.bulk.manifest.folder import read_folder
from serve_app.bulk.manifest.ids import Ids, parse_id
from serve_app.bulk.manifest.json_lines import read_json_lines
from serve_app.bulk.manifest.looking import Lookout
from serve_app.bulk.manifest.parquet import read_parquet
from serve_app.bulk.manifest.parts import Part
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.manifest.reading import KNOWN, Chunk, Reading
from serve_app.bulk.manifest.source import Kind, Source, digest_of_file, digest_of_folder, opened
from serve_app.bulk.row import Fault, Row
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, MissingField, OutsideInputRoot, UnusableManifest

FIRST_FAULTS = 20
SAMPLE_ROWS = 5

_READERS = {Kind.PARQUET: read_parquet, Kind.JSON_LINES: read_json_lines, Kind.CSV: read_csv}


@dataclass(frozen=True, slots=True)
class Faults:
    """Rows that can't be run: how many, by their codes, and the first ``FIRST_FAULTS``."""

    count: int
    by_code: Mapping[str, int]
    first: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class CheckedManifest:
    """``parts`` are Parquet files of the rows, in order; ``sample`` the first that can be run.

    ``missing`` counts the different images and masks that are known not to be there; in object
    stores none is.
    """

    kind: str
    digest: str
    rows: int
    faults: Faults
    parts: list[bytes]
    sample: tuple[Row, ...]
    missing: int


def check_manifest(
    source: Source,
    root: InputRoot,
    limits: LimitsConfig,
    max_images: int,
    told: Callable[[int], None] | None = None,
) -> CheckedManifest:
    """Check every row of ``source``, whose images lie below ``root``, ``max_images`` a row.

    ``told`` is called now and then with the number of rows so far. What is wrong with a row is
    kept with it, and the others go on.

    Raises:
        UnusableManifest: If the manifest as a whole can't be read.
    """
    kind = source.kind
    with _read(source, kind, root, limits) as (digest, reading):
        check = _Check(reading, root, limits, max_images)
        for chunk in reading.chunks:
            check.add(chunk)
            if told is not None:
                told(check.rows)
    if not check.rows:
        raise UnusableManifest("The manifest has no rows.")
    return check.ended(kind, digest)


@contextmanager
def _read(
    source: Source, kind: Kind, root: InputRoot, limits: LimitsConfig
) -> Iterator[tuple[str, Reading]]:
    """The manifest's digest, and its rows."""
    if kind is not Kind.FOLDER:
        with opened(source) as file:
            digest = digest_of_file(file)
            yield digest, _READERS[kind](file)
            if digest_of_file(file) != digest:
                raise UnusableManifest("The manifest was changed while it was read: try again.")
        return
    for prompt in source.prompts:
        try:
            parse_model(EditParameters, {"prompt": prompt}, limits, typed=True)
        except InvalidRequest as error:
            raise UnusableManifest(error.message) from None
    try:
        root.place(f"{source.location.absolute}/x")
    except OutsideInputRoot:
        raise UnusableManifest(
            "The folder of images must be the input root, or lie below it."
        ) from None
    images = source.images()
    yield (
        digest_of_folder(images, source.prompts),
        read_folder(source.location, images, source.prompts),
    )


class _Check:
    """The rows so far."""

    def __init__(
        self, reading: Reading, root: InputRoot, limits: LimitsConfig, max_images: int
    ) -> None:
        names = frozenset(reading.schema.names)
        self._fields = FieldReader(names, root, limits, max_images, typed=reading.typed)
        self._has_ids = reading.has_ids
        self._lookout = None if root.linked is None else Lookout(root.linked)
        self._ids = Ids()
        self._codes: Counter[str] = Counter()
        self._first: list[Fault] = []
        self._sample: list[Row] = []
        self._parts: list[bytes] = []
        self.rows = 0

    def add(self, chunk: Chunk) -> None:
        """Check some more rows."""
        part = Part()
        for i, values in enumerate(chunk.values):
            self.rows += 1
            self._add(values, chunk.faults.get(i), part)
        self._parts.append(part.encoded(chunk.table))

    def ended(self, kind: Kind, digest: str) -> CheckedManifest:
        """What has come of it."""
        faults = Faults(self._codes.total(), dict(self._codes), tuple(self._first))
        missing = 0 if self._lookout is None else self._lookout.missing
        sample = tuple(self._sample)
        return CheckedManifest(str(kind), digest, self.rows, faults, self._parts, sample, missing)

    def _add(self, values: Mapping[str, Any], fault: InvalidRequest | None, part: Part) -> None:
        row_id: str | None = None
        row: AskedRow | None = None
        try:
            row_id = self._given(values)
            if row_id is not None:
                # Also of a row that can't be run: results are found by ids.
                self._ids.take(row_id, self.rows)
        except InvalidRequest as error:
            fault = fault or error
        try:
            row = self._asked(values) if fault is None else None
        except InvalidRequest as error:
            fault = error
        if row_id is None:
            row_id = self._ids.make(_written(values) if row is None else row.content(), self.rows)
        if row is not None:
            part.add(self.rows, row_id, row)
            if len(self._sample) < SAMPLE_ROWS:
                asked = json.loads(row.asked)
                self._sample.append(Row(self.rows, row_id, row.images, row.mask, asked))
        elif fault is not None:
            self._add_fault(Fault(self.rows, row_id, fault.code, fault.message), part)

    def _given(self, values: Mapping[str, Any]) -> str | None:
        """The id that a row has; ``None`` if one is to be made."""
        value = values.get("id")
        if value is not None:
            return parse_id(value)
        if self._has_ids:
            raise MissingField("`id` is required: the manifest has a column of ids.", "id")
        return None

    def _asked(self, values: Mapping[str, Any]) -> AskedRow:
        row = self._fields.read(values)
        if self._lookout is not None:
            for place in row.images:
                self._lookout.look(place, "image")
            if row.mask is not None:
                self._lookout.look(row.mask, "mask")
        return row

    def _add_fault(self, fault: Fault, part: Part) -> None:
        part.add_fault(fault)
        self._codes[fault.code] += 1
        if len(self._first) < FIRST_FAULTS:
            self._first.append(fault)


def _written(values: Mapping[str, Any]) -> str:
    """What a row that can't be run says, as JSON that no other row has as its content."""
    known = {name: value for name, value in values.items() if name in KNOWN}
    return json.dumps(["not run", known], sort_keys=True, default=str)
