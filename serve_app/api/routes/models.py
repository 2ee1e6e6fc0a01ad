"""``/v1/models``: what the editors run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from serve_app.api import documentation
from serve_app.api.context import Context
from serve_app.edits.model import ModelDescription
from serve_app.errors import ModelNotFound


def router(context: Context) -> APIRouter:
    """Routes that describe the model."""
    routes = APIRouter(tags=["models"])

    @routes.get(
        "/v1/models", summary="The models there are", responses=documentation.ERROR_RESPONSES
    )
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_model_body(await context.service.model())]}

    @routes.get("/v1/models/{name}", summary="One model", responses=documentation.ERROR_RESPONSES)
    async def get_model(name: str) -> dict[str, Any]:
        if name != context.model_name:
            raise ModelNotFound("There is no such model; see /v1/models.")
        return _model_body(await context.service.model())

    return routes


def _model_body(model: ModelDescription) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        # When the weights were made is not known; OpenAI's type asks for a number.
        "created": 0,
        "owned_by": "qwen-edit-serve",
        "family": model.family,
        "revision": model.revision,
        "miniature": model.miniature,
        "edits": list(model.edits),
        "max_images": model.max_images,
        "dtype": model.dtype,
        "device": model.device,
        "adapters": [
            {"name": adapter.name, "revision": adapter.revision, "bytes": adapter.nbytes}
            for adapter in model.adapters
        ],
        "drafts": None if model.drafts is None else asdict(model.drafts),
    }
