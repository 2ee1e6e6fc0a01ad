"""The benchmark's miniature, without a text encoder."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.gpu.architecture import MINIATURE, make_pipeline, make_transformer, make_vae

CPU = torch.device("cpu")


def miniature_pipeline() -> Any:
    return make_pipeline(make_transformer(MINIATURE, CPU), make_vae(MINIATURE, CPU), None)
