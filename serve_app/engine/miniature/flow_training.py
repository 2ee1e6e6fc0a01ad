"""Trains the transformer by flow matching: from noise to the edited picture, beside the source.

What is asked for has one right answer here, so most is decided while there is little but
noise: sigmas are drawn towards one. Tokens that the edit changes count three times, since
most pictures change little, and early on some samples ask for no change at all: copying the
source is what every edit is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad
from torch.optim import AdamW, Optimizer
from torch.optim import Muon as MuonOptimizer

from serve_app.engine.miniature.architecture import Sizes
from serve_app.engine.miniature.joint_attention import PlainJointAttention, RealRotary
from serve_app.engine.miniature.latent_pool import LatentPool
from serve_app.engine.miniature.stage import LossOfStep
from serve_app.engine.miniature.text_training import TokenTemplate, read, tokenize
from serve_app.engine.miniature.vocabulary import LANGUAGES
from serve_app.engine.miniature.wording import Change, word_instruction

MUON_RATE, ADAM_RATE = 2e-3, 1e-3
TEXT_LENGTH = 40
"""Tokens of text in training: enough for the longest instruction with what surrounds it."""

_CHANGED = 0.02
_CHANGED_WEIGHT = 3.0
_COPIES = 0.3
_COPIES_UNTIL = 1500
_UNCONDITIONAL = 0.07
_RENEW_EVERY, _RENEWED = 30, 40

Sigmas = Callable[[torch.Generator, int], torch.Tensor]


def sigmas_for_all_steps(generator: torch.Generator, batch: int) -> torch.Tensor:
    """Logit-normal sigmas, mostly high; every eighth is one, where each edit starts."""
    sigmas = torch.sigmoid(1.2 * torch.randn(batch, generator=generator) + 0.6)
    sigmas[: batch // 8] = 1.0
    return sigmas.clamp(min=0.005)


class Prompts:
    """Instructions to embeddings as the service's, by a frozen text encoder."""

    def __init__(self, text_encoder: Any, tokenizer: Any) -> None:
        self._text_encoder = text_encoder
        self._tokenizer = tokenizer
        self._template = TokenTemplate.of(tokenizer)
        self._device = next(text_encoder.parameters()).device

    @torch.no_grad()
    def embed(self, instructions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (batch, 40, width) and which of them are there (batch, 40).

        Raises ``ValueError`` for an instruction that is longer.
        """
        tokens, lengths = tokenize(self._tokenizer, instructions)
        shown = len(self._template.head) - self._template.cut
        if shown + tokens.shape[1] > TEXT_LENGTH:
            raise ValueError(f"an instruction has more than {TEXT_LENGTH - shown} tokens")
        tokens = tokens.to(self._device)
        before, after = read(self._text_encoder, self._template, tokens)
        before = before[:, self._template.cut :].expand(len(tokens), -1, -1)
        embeddings = torch.cat([before, after], dim=1).float()
        embeddings = pad(embeddings, (0, 0, 0, TEXT_LENGTH - embeddings.shape[1]))
        there = torch.arange(TEXT_LENGTH) < (lengths + shown)[:, None]
        return embeddings, there.to(self._device)


def zero_gates(transformer: Any) -> None:
    """Start from zero gates and a zero output: each block begins as the identity."""
    for name, parameter in transformer.named_parameters():
        if "_mod.1" in name or "norm_out.linear" in name or "proj_out" in name:
            nn.init.zeros_(parameter)


def make_trainable_fast(transformer: Any, head_dim: int) -> None:
    """Use the attention for training; results differ by rounding alone."""
    transformer.set_attn_processor(PlainJointAttention(head_dim))
    transformer.pos_embed = RealRotary(transformer.pos_embed)


def optimizers(transformer: nn.Module) -> list[Optimizer]:
    """Muon for the blocks' matrices, AdamW for the rest (Jordan et al., 2024)."""
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in transformer.named_parameters():
        matrix = name.startswith("transformer_blocks") and parameter.ndim == 2
        (hidden if matrix and "_mod." not in name else rest).append(parameter)
    return [
        MuonOptimizer(hidden, lr=MUON_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]


@dataclass(eq=False)
class FlowMatching:
    """The loss of each step; ``sigmas`` says at which noise levels.

    ``unconditional`` is the share of samples without an instruction, ``copies`` the share at
    the first step that asks for no change, which falls to none at step 1,500.
    """

    transformer: Any
    prompts: Prompts
    pool: LatentPool
    sizes: Sizes
    device: torch.device
    batch: int = 64
    sigmas: Sigmas = sigmas_for_all_steps
    unconditional: float = _UNCONDITIONAL
    copies: float = _COPIES
    seed: int = 0

    def loss_of_steps(self) -> LossOfStep:
        """A function for ``Stage.train``."""
        random = Random(self.seed)
        generator = torch.Generator().manual_seed(self.seed)

        def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
            if step % _RENEW_EVERY == 0:
                self.pool.renew(_RENEWED)
            sources, targets, changes = self.pool.sample(random, self.batch)
            copies = self.copies * max(0.0, 1 - step / _COPIES_UNTIL)
            instructions = self._word(random, changes, copies, sources, targets)
            noise = torch.randn(targets.shape, generator=generator)
            sigmas = self.sigmas(generator, self.batch)
            return self._loss(sources, targets, noise, sigmas, instructions)

        return loss_of

    def _word(
        self,
        random: Random,
        changes: Sequence[Change],
        copies: float,
        sources: torch.Tensor,
        targets: torch.Tensor,
    ) -> list[str]:
        """Word the changes, some left out for guidance, some replaced by none."""
        instructions = []
        for row, change in enumerate(changes):
            wanted, drawn = change, random.random()
            if drawn < copies:
                wanted = Change("other")
                targets[row] = sources[row]
            text = word_instruction(random, wanted, random.choice(LANGUAGES))
            instructions.append(" " if drawn > 1 - self.unconditional else text)
        return instructions

    def _loss(
        self,
        sources: torch.Tensor,
        targets: torch.Tensor,
        noise: torch.Tensor,
        sigmas: torch.Tensor,
        instructions: Sequence[str],
    ) -> tuple[torch.Tensor, dict[str, float]]:
        sources, targets, noise, sigmas = (
            tensor.to(self.device) for tensor in (sources, targets, noise, sigmas)
        )
        level = sigmas[:, None, None]
        noisy = (1 - level) * targets + level * noise
        with torch.autocast(self.device.type, torch.bfloat16):
            embeddings, there = self.prompts.embed(instructions)
            velocity = self._predict(noisy, sources, sigmas, embeddings, there)
        error = (velocity.float() - (noise - targets)).pow(2).mean(dim=-1)
        changed = ((targets - sources).pow(2).mean(dim=-1) > _CHANGED).float()
        weight = 1 + (_CHANGED_WEIGHT - 1) * changed
        loss = (error * weight).sum() / weight.sum()
        of_changed = (error * changed).sum() / changed.sum().clamp(min=1)
        return loss, {"error": error.mean().item(), "edited": of_changed.item()}

    def _predict(
        self,
        noisy: torch.Tensor,
        sources: torch.Tensor,
        sigmas: torch.Tensor,
        embeddings: torch.Tensor,
        there: torch.Tensor,
    ) -> torch.Tensor:
        side = self.sizes.tokens_per_side
        shape = (1, side, side)
        prediction: torch.Tensor = self.transformer(
            hidden_states=torch.cat([noisy, sources], dim=1),
            encoder_hidden_states=embeddings,
            encoder_hidden_states_mask=there,
            timestep=sigmas,
            img_shapes=[[shape, shape]] * len(noisy),
            return_dict=False,
        )[0]
        return prediction[:, : noisy.shape[1]]
