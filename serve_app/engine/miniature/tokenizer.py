"""Qwen2 tokenizers made here: one of bytes alone, one that knows the miniature's words.

Both take any text in any language: what isn't in the vocabulary is spelled in bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Tokenizer

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def byte_tokenizer() -> Qwen2Tokenizer:
    """Make a ``Qwen2Tokenizer`` whose vocabulary is the 256 bytes and the special tokens."""
    return _assemble(sorted(ByteLevel.alphabet()), [])


def word_tokenizer(corpus: Iterable[str], size: int = 1024) -> Qwen2Tokenizer:
    """Make a ``Qwen2Tokenizer`` with byte pairs merged as ``corpus`` suggests.

    ``size`` is the number of tokens without the special ones. Text that doesn't occur in the
    corpus, such as capital letters, stays in bytes: so a word in capitals is its letters.
    """
    stock = Qwen2Tokenizer(vocab={}, merges=[]).backend_tokenizer
    learner = Tokenizer(models.BPE())
    learner.normalizer = stock.normalizer or normalizers.NFC()
    learner.pre_tokenizer = stock.pre_tokenizer or pre_tokenizers.ByteLevel()
    learner.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=ByteLevel.alphabet(), show_progress=False
        ),
    )
    model = json.loads(learner.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return _assemble(tokens, [(left, right) for left, right in model["merges"]])


def _assemble(tokens: list[str], merges: list[tuple[str, str]]) -> Qwen2Tokenizer:
    vocabulary = {token: index for index, token in enumerate((*tokens, *SPECIAL_TOKENS))}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    return tokenizer
