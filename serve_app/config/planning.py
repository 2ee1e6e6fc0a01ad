"""Parameters per edit type, and how often an edit is tried."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from serve_app.config.section import Section


class TypeParameters(Section):
    """Parameters of one edit type."""

    true_cfg_scale: float = Field(4.0, ge=1.0, le=20.0)
    num_inference_steps: PositiveInt = 50
    negative_prompt: str = " "


class EditTypes(Section):
    """Parameters of every edit type."""

    semantic: TypeParameters = TypeParameters(true_cfg_scale=3.5)
    appearance: TypeParameters = TypeParameters(true_cfg_scale=4.5)
    text: TypeParameters = TypeParameters(num_inference_steps=75)
    hybrid: TypeParameters = TypeParameters()


class PlanningConfig(Section):
    """Parameters per edit type, unless a request sets them."""

    edit_types: EditTypes = EditTypes()
    true_cfg_scale: float | None = Field(
        None, ge=1.0, le=20.0, description="Overrides every type: for few-step models 1.0."
    )
    num_inference_steps: PositiveInt | None = Field(
        None, description="Overrides every type: for few-step models 4 or 8."
    )
    quality: Literal["draft", "standard", "best"] = Field(
        "standard",
        description="draft: one attempt, by the few-step model where there are "
        "drafts; standard: the full model where that fails; best: the full model, 4 attempts.",
    )
    max_attempts: int = Field(
        2, ge=1, le=4, description="Edits until one passes, at standard quality."
    )
    guidance_step: PositiveFloat = Field(
        1.0, description="How far a further attempt moves true_cfg_scale, where that may help."
    )
    more_steps: PositiveFloat = Field(
        0.2, description="Steps that a further attempt takes more, as a share of the planned."
    )
    ask_model: bool = Field(
        False,
        description="Let the text encoder choose the edit type of `auto` and rewrite the prompts "
        "of failed attempts, if it answers sanely; rules do it otherwise.",
    )
    ask_s: PositiveFloat = Field(
        20.0, description="After so long without its answer the rules do it, seconds."
    )
