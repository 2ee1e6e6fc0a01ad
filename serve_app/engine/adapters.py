"""LoRA adapters per request: read from one folder, injected on demand, dropped by age.

Only what the scan has found at the start is ever opened, and only while its bytes stay the
same: their digest is part of a result's name. The adapter of drafts is not of the folder: it is
injected at the start and stays, and runs alone or together with one that a request names.

Measured on the miniature with every memory mode: exact when off and after it was dropped, in
float32 and bfloat16, group and model offload, float8 storage, torchao int8 and float8 weights
and GGUF; adapters themselves stay in the compute dtype. Compiled blocks compile again for each
new set of adapted layers and once for varying scales, not for an adapter that comes back.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from serve_app.config import AdaptersConfig
from serve_app.edits.model import AdapterDescription
from serve_app.edits.request import ADAPTER_NAME, LoraUse
from serve_app.engine.adapter_file import LowRank, Misfit, low_ranks, size_of
from serve_app.engine.injected_adapters import InjectedAdapters
from serve_app.errors import ConfigurationError, UnusableAdapter

logger = logging.getLogger(__name__)

_MISFIT = (
    "This adapter does not fit the model: it must be a plain LoRA of the transformer's linear "
    "layers, made for this architecture."
)
_CHANGED = (
    "The file of this adapter has changed or can't be read since the service started; use "
    "another adapter."
)


_FEW_STEP = "few_step"
"""The name of the drafts' adapter for peft."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the folder; ``key`` is its name for peft, where dots would be paths."""

    path: Path
    key: str
    description: AdapterDescription


class Adapters:
    """LoRA adapters of one folder on one transformer: read on demand, kept by use.

    ``activate`` belongs to the device thread; everything else may be called from any.
    """

    def __init__(self, pipeline: Any, config: AdaptersConfig) -> None:
        """Scan the folder, once: later files are not seen, changed ones are refused.

        Files that don't fit are logged, not listed, and refused when asked for. Raises
        ``ConfigurationError`` if the folder is not there, a name can't be asked for, or an
        adapter alone is larger than ``memory_bytes``.
        """
        self._memory_bytes = config.memory_bytes
        linears = {
            name: module
            for name, module in pipeline.transformer.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        # The layers of a GGUF file know what they compute in; its norms may be stored wider.
        computes = (getattr(linear, "compute_dtype", None) for linear in linears.values())
        self._dtype: torch.dtype = next(filter(None, computes), pipeline.transformer.dtype)
        self._linears = {name: (it.in_features, it.out_features) for name, it in linears.items()}
        self._files: dict[str, _File] = {}
        self._misfits: set[str] = set()
        if config.folder is not None:
            self._scan(config.folder)

        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._uses: Counter[str] = Counter()
        self._read: OrderedDict[str, dict[str, LowRank]] = OrderedDict()
        self._loaded: OrderedDict[str, int] = OrderedDict()

        # Only the device thread touches these.
        self._injected = InjectedAdapters(pipeline)
        self._active: tuple[LoraUse | None, bool] = (None, False)

    @property
    def descriptions(self) -> tuple[AdapterDescription, ...]:
        """The adapters that requests may name, by name."""
        return tuple(file.description for file in self._files.values())

    @property
    def reserved_bytes(self) -> int:
        """Bytes that adapters may take on the device: none if there are none."""
        return self._memory_bytes if self._files else 0

    @property
    def loaded_bytes(self) -> int:
        """Bytes that adapters take on the device now."""
        with self._lock:
            return sum(self._loaded.values())

    def keep_few_step(self, content: bytes, scale: float) -> int:
        """Inject the adapter of drafts for good; returns its bytes on the device.

        To be called once, before the device thread runs. Its bytes are beside
        ``memory_bytes``. Raises ``Misfit`` or ``SafetensorError`` for a file that doesn't fit.
        """
        layers = low_ranks(content, self._linears, self._dtype)
        nbytes = self._injected.inject(_FEW_STEP, layers)
        self._injected.set_scale(_FEW_STEP, scale)
        return nbytes

    def check(self, use: LoraUse) -> None:
        """Raise ``UnusableAdapter`` unless an adapter of this name and revision fits the model."""
        file = self._file(use.name)
        if use.revision not in (None, file.description.revision):
            raise UnusableAdapter(_CHANGED, "lora")

    def read(self, name: str) -> None:
        """Read an adapter into host memory, ahead of its first use.

        At most ``memory_bytes`` of read adapters wait, or a single one. Raises
        ``UnusableAdapter`` if there is none, or if the file is no longer what it was.
        """
        file = self._file(name)
        with self._reading:
            with self._lock:
                if name in self._loaded or name in self._read:
                    return
            layers = self._open(file)
            with self._lock:
                self._read[name] = layers
                self._forget_oldest_read()

    def hold(self, use: LoraUse) -> None:
        """Keep the adapter on the device, once it is there, until it is released."""
        self.check(use)
        with self._lock:
            self._uses[use.name] += 1

    def release(self, use: LoraUse) -> None:
        """Take back one ``hold``."""
        with self._lock:
            if self._uses[use.name] < 1:
                raise ValueError("An adapter was released more often than it was held.")
            self._uses[use.name] -= 1
            if not self._uses[use.name]:
                del self._uses[use.name]
                self._read.pop(use.name, None)

    def has_room(self, name: str) -> bool:
        """Whether it is held already, or fits beside those that are, loaded yet or not."""
        wanted = self._file(name).description.nbytes
        with self._lock:
            held = sum(self._files[other].description.nbytes for other in self._uses)
            return name in self._uses or held + wanted <= self._memory_bytes

    def activate(self, use: LoraUse | None, few_step: bool = False) -> None:
        """Make the next forwards use this adapter or none, and that of drafts if ``few_step``.

        Raises ``UnusableAdapter`` as ``read`` does, and ``RuntimeError`` if there is no room;
        whatever it raises, the transformer then runs without an adapter.
        """
        if (use, few_step) == self._active:
            return
        self._active = (None, False)
        self._injected.select([])
        keys = [_FEW_STEP] if few_step else []
        if use is not None:
            keys.append(self._prepared(use))
        self._injected.select(keys)
        self._active = (use, few_step)

    # The folder.

    def _scan(self, folder: Path) -> None:
        folder = folder.expanduser()
        if not folder.is_dir():
            raise ConfigurationError(
                "`model.adapters.folder` is a folder that is not there.", "model.adapters.folder"
            )
        for path in sorted(folder.glob("*.safetensors")):
            if path.name.startswith(".") or not path.is_file():
                continue
            name = path.name.removesuffix(".safetensors")
            if not ADAPTER_NAME.fullmatch(name):
                raise ConfigurationError(
                    f"`model.adapters.folder` has a file named {name!r}; names are up to 64 "
                    "letters, digits, dots, underscores and hyphens.",
                    "model.adapters.folder",
                )
            try:
                nbytes = size_of(path, self._linears) * self._dtype.itemsize
                revision = _revision(path.read_bytes())
            except (Misfit, SafetensorError, OSError) as error:
                logger.warning("adapter %s can't be used: %s", name, error)
                self._misfits.add(name)
                continue
            if nbytes > self._memory_bytes:
                raise ConfigurationError(
                    f"`model.adapters.memory_bytes` is less than the {nbytes} bytes that the "
                    f"adapter {name} needs.",
                    "model.adapters.memory_bytes",
                )
            description = AdapterDescription(name, revision, nbytes)
            self._files[name] = _File(path, f"adapter_{len(self._files):04d}", description)

    def _file(self, name: str) -> _File:
        if name in self._misfits:
            raise UnusableAdapter(_MISFIT, "lora")
        if name not in self._files:
            raise UnusableAdapter(
                "There is no adapter of this name; `GET /v1/models` lists those there are.", "lora"
            )
        return self._files[name]

    def _open(self, file: _File) -> dict[str, LowRank]:
        try:
            content = file.path.read_bytes()
        except OSError as error:
            raise UnusableAdapter(_CHANGED, "lora") from error
        if _revision(content) != file.description.revision:
            raise UnusableAdapter(_CHANGED, "lora")
        try:
            return low_ranks(content, self._linears, self._dtype)
        except (Misfit, SafetensorError) as error:
            logger.warning("adapter %s can't be used: %s", file.description.name, error)
            raise UnusableAdapter(_MISFIT, "lora") from error

    def _forget_oldest_read(self) -> None:
        def waiting() -> int:
            return sum(self._files[name].description.nbytes for name in self._read)

        while len(self._read) > 1 and waiting() > self._memory_bytes:
            self._read.popitem(last=False)

    # The device.

    def _prepared(self, use: LoraUse) -> str:
        """Have an adapter on the device at its scale; returns its name for peft."""
        file = self._file(use.name)
        if use.name not in self._loaded:
            self._load(use.name, file)
        with self._lock:
            self._loaded.move_to_end(use.name)
        self._injected.set_scale(file.key, use.scale)
        return file.key

    def _load(self, name: str, file: _File) -> None:
        with self._lock:
            layers = self._read.pop(name, None)
        if layers is None:
            layers = self._open(file)
        for old in self._make_room(name, file.description.nbytes):
            self._injected.remove(self._files[old].key)
        try:
            nbytes = self._injected.inject(file.key, layers)
        except BaseException:
            # Out of memory, most likely: the half that is there must go.
            self._injected.remove(file.key)
            with self._lock:
                del self._loaded[name]
            raise
        with self._lock:
            self._loaded[name] = nbytes

    def _make_room(self, name: str, nbytes: int) -> list[str]:
        """Reserve the bytes; returns who has to leave, the least recently used first."""
        leaving: list[str] = []
        with self._lock:
            excess = sum(self._loaded.values()) + nbytes - self._memory_bytes
            for other, size in self._loaded.items():
                if excess > 0 and other not in self._uses:
                    leaving.append(other)
                    excess -= size
            if excess > 0:
                raise RuntimeError("An adapter was activated without room for it.")
            for other in leaving:
                del self._loaded[other]
            self._loaded[name] = nbytes
        return leaving


def _revision(content: bytes) -> str:
    return f"sha256-{hashlib.sha256(content).hexdigest()[:16]}"
