"""What the rest of the service knows of the model that the editors run."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.errors import UnusableAdapter


@dataclass(frozen=True, slots=True)
class AdapterDescription:
    """A LoRA that requests may name; ``revision`` is a digest of its file."""

    name: str
    revision: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class FewStepDrafts:
    """How the model makes drafts, in fewer steps than its own edits and worse than they are."""

    num_inference_steps: int
    true_cfg_scale: float


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The loaded checkpoint, as ``/v1/models`` and every result's metadata show it.

    ``revision`` names the exact weights: a hub commit, or a digest of a local folder.
    ``max_images`` is how many input images the pipeline family takes. ``adapters`` are those
    of the configured folder, by name. ``edits`` lists all that a miniature can do; the real
    models have no such list. ``answers`` tells whether its text encoder can be asked questions,
    which is only found out where somebody would ask. ``drafts`` is ``None`` if it makes none,
    for lack of a few-step adapter or because all its edits are made with it.
    """

    name: str
    family: str
    revision: str
    miniature: bool
    max_images: int
    dtype: str
    device: str
    adapters: tuple[AdapterDescription, ...] = ()
    edits: tuple[str, ...] = ()
    answers: bool = False
    drafts: FewStepDrafts | None = None

    def adapter(self, name: str) -> AdapterDescription:
        """The adapter called ``name``; raises ``UnusableAdapter`` if there is none."""
        for adapter in self.adapters:
            if adapter.name == name:
                return adapter
        raise UnusableAdapter("There is no adapter with this name; see /v1/models.", "lora")
