"""What all sections share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
CanvasSize = Annotated[str, Field(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]


class Section(BaseModel):
    """Base of all sections: frozen, and no unknown keys.

    A section given in part keeps the rest of its own default: ``editor: {num_gpus: 0}``
    leaves the other settings as they are for editors, not for deployments in general.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: _completed(cls.model_fields.get(name), it) for name, it in given.items()}


def _completed(field: FieldInfo | None, given: Any) -> Any:
    if field is None or not isinstance(field.default, BaseModel) or not isinstance(given, dict):
        return given
    return {**field.default.model_dump(), **given}
