"""What edits are judged by."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from serve_app.config.section import Fraction, Section

EditTypeName = Literal["semantic", "appearance", "text", "hybrid"]


class CheckLimits(Section):
    """From where on a check warns or rejects, in its own unit; with neither it only informs."""

    warn: float | None = Field(None, description="Beyond it the edit passes with a reason.")
    fail: float | None = Field(None, description="Beyond it the edit is rejected.")


class JudgeConfig(Section):
    """The model that says whether the instruction was followed, which pixels can't tell."""

    kind: Literal["none", "text_encoder", "similarity"] = Field(
        "none",
        description="text_encoder: the editors' own Qwen2.5-VL is asked yes-or-no questions, if "
        "it answers sanely; similarity: a CLIP or SigLIP compares both pictures with the words.",
    )
    checkpoint: str | None = Field(
        None, description="Folder or hub id of the CLIP or SigLIP (similarity)."
    )
    revision: str | None = Field(
        None, description="Hub commit to load. Required for hub ids, so that weights can't move."
    )
    device: Literal["cpu", "cuda", "mps"] = Field("cpu", description="Where it runs (similarity).")
    threshold: Fraction = Field(0.5, description="Least score that passes, 0..1.")
    patience_s: PositiveFloat = Field(
        30.0, description="An edit is judged without it after so long, seconds."
    )

    @model_validator(mode="after")
    def _similarity_has_a_checkpoint(self) -> Self:
        if (self.kind == "similarity") != (self.checkpoint is not None):
            raise ValueError("`checkpoint` and `kind: similarity` belong together: set both")
        return self


class QualityConfig(Section):
    """What the checks decide by; the table of limits is in `quality/table.py`."""

    checks: dict[str, dict[EditTypeName, CheckLimits | None]] = Field(
        {},
        description="Limits in place of the table's, by check and edit type; null switches a "
        "check off, `{}` makes it a figure.",
    )
    collapse_std: PositiveFloat = Field(6.0, description="Least standard deviation, 0..255.")
    collapse_entropy: PositiveFloat = Field(0.5, description="Least luma entropy, bits.")
    collapse_flatness: Fraction = Field(0.35, description="Largest spectral flatness.")
    no_op_area: Fraction = Field(0.0015, description="Least share of changed pixels.")
    no_op_delta_e: PositiveFloat = Field(9.0, description="Least 99.9th percentile of dE.")
    no_op_cast: PositiveFloat = Field(3.0, description="Least median Lab shift.")
    oversaturation_chroma: float = Field(
        1.35, gt=1.0, description="Largest mean Lab chroma, as a multiple of the original's."
    )
    oversaturation_clipping: PositiveFloat = Field(
        0.05, description="Largest growth of the share of clipped pixels."
    )
    read_text: bool = Field(
        True, description="Read words (OCR); off, the checks of text are skipped."
    )
    judge: JudgeConfig = JudgeConfig()
    threads: PositiveInt = Field(2, description="CPU threads per validator replica.")
    side: PositiveInt = Field(768, description="Longest side the checks look at, pixels.")
