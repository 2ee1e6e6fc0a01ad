"""Before a run: is the manifest in order, is the output free, is it the same run as before?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from serve_app import __version__
from serve_app.bulk.manifest.check import CheckedManifest, Faults, check_manifest
from serve_app.bulk.manifest.location import Location, locate
from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.manifest.source import Kind, Source, digest_of
from serve_app.bulk.pending import put_parts
from serve_app.bulk.run_record import ManifestFacts, RunRecord, require_same
from serve_app.config import ServiceConfig
from serve_app.errors import ConfigurationError, InvalidRequest, RunRefused, UnusableManifest
from serve_app.storage.byte_store import ByteStore

_WRITTEN_TO = frozenset({"images", "records", "rows", "ledger"})
"""Folders of the output."""

_DECIDING = {"model", "planning", "quality"}
"""Sections that decide what comes out."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run, and where it goes.

    ``input_root`` is where images lie; without it, the manifest's own folder.
    ``skip_invalid`` runs the good rows of a manifest that has others.
    """

    source: Source
    out: str
    input_root: str | None = None
    skip_invalid: bool = False

    @property
    def root(self) -> str:
        """The input root; raises ``UnusableManifest``."""
        if self.input_root is not None:
            return self.input_root
        location = self.source.location
        if self.source.kind is not Kind.FOLDER:
            location = replace(location, path=str(PurePosixPath(location.path).parent))
        return location.absolute

    def absolute(self) -> Order:
        """The same order for whoever is elsewhere: other nodes have other working folders.

        Raises ``ConfigurationError`` for a storage that is not known here.
        """
        root = self.input_root
        if root is not None:
            root = _located(root, "input root")
        return replace(self, out=_located(self.out, "output folder"), input_root=root)


class InvalidRows(UnusableManifest):
    """Some rows can't be run: nothing is, unless the others shall be."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(
            f"{faults.count:,} rows can't be run. Mend the manifest, or run the others with "
            "--skip-invalid: these are failed rows of the report then.",
            "manifest",
        )
        self.faults = faults


def checked(
    order: Order, config: ServiceConfig, told: Callable[[int], None] | None = None
) -> CheckedManifest:
    """Check the whole manifest; raises ``UnusableManifest`` if it can't be used as a whole."""
    _require_apart(order)
    root = InputRoot(order.root)
    return check_manifest(order.source, root, config.limits, config.model.max_images, told)


def begun(store: ByteStore, order: Order, config: ServiceConfig) -> RunRecord | None:
    """The run that the output holds and ``order`` would go on with; ``None`` if there is none.

    Raises ``UnusableManifest``, and ``RunRefused`` if it is another run.
    """
    before = RunRecord.read(store)
    if before is None:
        return None
    facts = replace(before.manifest, kind=str(order.source.kind), digest=digest_of(order.source))
    require_same(before, _record(order, config, facts))
    return before


def prepare(
    store: ByteStore,
    order: Order,
    config: ServiceConfig,
    told: Callable[[int], None] | None = None,
) -> RunRecord:
    """Bring the output to where rows can be run: the checked rows are there, or were before.

    Raises ``UnusableManifest``, ``InvalidRows``, and ``RunRefused`` if the output belongs to
    another run.
    """
    before = begun(store, order, config)
    if before is not None:
        return before
    manifest = checked(order, config, told)
    faults = manifest.faults
    if faults.count and not (order.skip_invalid and faults.count < manifest.rows):
        raise InvalidRows(faults)
    put_parts(store, manifest.parts)
    facts = ManifestFacts(str(manifest.kind), manifest.digest, manifest.rows, faults.count)
    record = _record(order, config, facts)
    record.write(store)
    return record


def _record(order: Order, config: ServiceConfig, facts: ManifestFacts) -> RunRecord:
    return RunRecord(
        id=secrets.token_hex(8),
        created_at=time.time(),
        service_version=__version__,
        manifest=facts,
        options={"input_root": _absolute(order.root), **_deciding(config)},
    )


def _deciding(config: ServiceConfig) -> dict[str, Any]:
    """The options that decide what comes out: another number of editors is the same run."""
    return config.model_dump(
        mode="json", include=_DECIDING, exclude={"model": {"device"}, "quality": {"threads"}}
    )


def _require_apart(order: Order) -> None:
    """Refuse results among the images: they would be images to edit when it goes on."""
    if order.source.kind is not Kind.FOLDER:
        return
    images = order.source.location
    try:
        out = locate(order.out)
    except InvalidRequest:
        return  # whoever opens the output says it better
    if out.fs != images.fs:
        return
    inputs, outputs = _path(images), _path(out)
    into = inputs.is_relative_to(outputs) and inputs.relative_to(outputs).parts[:1]
    if outputs.is_relative_to(inputs) or (into and into[0] in _WRITTEN_TO):
        raise RunRefused(
            "Results would be written into the folder of images, and so become inputs. Choose an "
            "output folder beside it.",
            "out",
        )


def _located(place: str, what: str) -> str:
    try:
        return locate(place).absolute
    except InvalidRequest as error:
        raise ConfigurationError(f"The {what} {error.message}", "out") from None


def _path(location: Location) -> PurePosixPath:
    path = str(Path(location.path).resolve()) if location.local else location.path
    return PurePosixPath(path)


def _absolute(root: str) -> str:
    location = locate(root)
    return str(_path(location)) if location.local else location.absolute
