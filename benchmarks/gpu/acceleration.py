"""How the transformer's blocks run: eager or compiled, and with which attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch._dynamo

NATIVE = "native"
"""PyTorch's ``scaled_dot_product_attention``, which chooses the kernel itself."""


@dataclass
class Acceleration:
    """A way to run one transformer; ``compiler`` is a backend of ``torch.compile``.

    ``dynamic`` code serves every shape; else each shape (so each length of a prompt) is
    compiled for itself. Compiled code is kept, so that eager and compiled runs can take turns.
    """

    transformer: Any
    attention: str = NATIVE
    compiler: str | None = None
    mode: str | None = None
    dynamic: bool = False
    _compiled: list[Callable[..., Any]] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        parts = ["compiled" if self.compiler else "eager"]
        parts += ["any shape"] if self.dynamic else []
        parts += [self.mode] if self.mode else []
        parts += [self.attention] if self.attention != NATIVE else []
        return ", ".join(parts)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Run the blocks this way inside; eager and with PyTorch's own attention after it.

        Raises whatever diffusers raises for an attention backend that is not installed.
        """
        blocks = list(self.transformer.transformer_blocks)
        try:
            if self.attention != NATIVE:
                self.transformer.set_attention_backend(self.attention)
            if self.compiler is not None:
                self._compile(blocks)
            yield
        finally:
            for block in blocks:
                block._compiled_call_impl = None
            if self.attention != NATIVE:
                # ``reset_attention_backend`` would leave the process-wide default as it is.
                self.transformer.set_attention_backend(NATIVE)

    def _compile(self, blocks: list[Any]) -> None:
        if not self._compiled:
            # Every shape gets kernels of its own, and all of them stay.
            torch._dynamo.config.recompile_limit = 64
            options = {"mode": self.mode} if self.mode else {}
            self.transformer.compile_repeated_blocks(
                fullgraph=True, dynamic=self.dynamic, backend=self.compiler, **options
            )
            self._compiled = [block._compiled_call_impl for block in blocks]
        for block, compiled in zip(blocks, self._compiled, strict=True):
            block._compiled_call_impl = compiled
