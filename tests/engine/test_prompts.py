"""Embeddings are the stock pipelines', however often the pictures before them were read."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.engine.encode import has_reserved_token
from serve_app.engine.load import Checkpoint
from serve_app.engine.prompts import Prefix, PromptEncoder
from serve_app.engine.state import CanvasTask
from tests.engine.tasks import PROMPTS, photo, task

KINDS = ("edit", "plus", "plus-2511")
SIZES = ((64, 64), (96, 64), (64, 128))
ODD_PROMPTS = (
    "",
    " ",
    "  two blanks on each side  ",
    "\n",
    "first line\r\nsecond\n\n\tthird\n",
    "write \"OPEN\" and 'closed' on the sign, `as is`",
    "{} {0} {prompt} {{}} }{",
    "{",
    "%s %(name)d \\n \\u0041 $HOME",
    "<b>bold</b> <|not a token|> <image> |im_end|",
    "Picture 1: user\nassistant\nsystem\n",
    "把招牌上的字改成“营业中”。\u3000然後加上「燈籠」",
    "🌅👩\u200d👩\u200d👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿 é\u0301 \u200b\u202e\ufeff",
    "e\u0301 and é, ﬁ, Å, \u1100\u1161",  # the tokenizer normalizes them
    "\u0301 a mark without a letter",
    "\x00\x01\x7f\x85",
)

# Texts that UTF-8 can carry; a body with other ones is refused before it comes here.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def shown(checkpoint: Checkpoint, pictures: int, prompt: str = "x", first: int = 0) -> CanvasTask:
    images = tuple(photo(first + n, *SIZES[n]) for n in range(pictures))
    return task(checkpoint, images, prompt)


@torch.no_grad()
def stock(checkpoint: Checkpoint, wanted: CanvasTask) -> torch.Tensor:
    """What the pipeline hands its transformer for a prompt, all of it in one pass."""
    pictures = [Image.fromarray(image) for image in wanted.conditions]
    embeddings, mask = checkpoint.pipeline.encode_prompt(
        prompt=wanted.prompt, image=pictures if checkpoint.plus else pictures[0]
    )
    assert mask is None  # no padding
    result: torch.Tensor = embeddings
    return result


@torch.no_grad()
def read(checkpoint: Checkpoint, wanted: CanvasTask) -> Prefix:
    return PromptEncoder(checkpoint).prefix(wanted)


@torch.no_grad()
def embed(checkpoint: Checkpoint, prompt: str, prefix: Prefix) -> torch.Tensor:
    return PromptEncoder(checkpoint).embed(prompt, prefix)


def assert_equals_stock(checkpoint: Checkpoint, wanted: CanvasTask) -> None:
    embeddings = embed(checkpoint, wanted.prompt, read(checkpoint, wanted))
    expected = stock(checkpoint, wanted)
    assert embeddings.dtype == expected.dtype
    torch.testing.assert_close(embeddings, expected, atol=2e-6, rtol=0)


# As the stock pipelines


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", PROMPTS + ODD_PROMPTS)
def test_a_prompt_is_embedded_as_by_the_stock_pipeline(
    miniatures: dict[str, Checkpoint], kind: str, prompt: str
) -> None:
    checkpoint = miniatures[kind]
    assert_equals_stock(checkpoint, shown(checkpoint, 1, prompt))


@pytest.mark.parametrize("kind", ["plus", "plus-2511"])
@pytest.mark.parametrize("pictures", [2, 3])
@pytest.mark.parametrize("prompt", [PROMPTS[1], " ", "{} Picture 2: "])
def test_several_pictures_are_shown_as_by_the_stock_pipeline(
    miniatures: dict[str, Checkpoint], kind: str, pictures: int, prompt: str
) -> None:
    checkpoint = miniatures[kind]
    assert_equals_stock(checkpoint, shown(checkpoint, pictures, prompt))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(prompt=texts, pictures=st.integers(1, 3))
@example(prompt="}{", pictures=3)
def test_any_text_is_embedded_as_by_the_stock_pipeline(
    miniatures: dict[str, Checkpoint], kind: str, prompt: str, pictures: int
) -> None:
    checkpoint = miniatures[kind]
    assume(not has_reserved_token(checkpoint, prompt))
    wanted = shown(checkpoint, pictures if checkpoint.plus else 1, prompt)
    assert_equals_stock(checkpoint, wanted)


def test_pictures_and_prompts_make_a_difference(plus: Checkpoint) -> None:
    """Or equality with the stock pipeline would show little."""
    wanted = shown(plus, 1, "make it red")
    others = (
        replace(wanted, prompt="make it rad"),
        replace(wanted, conditions=shown(plus, 1, first=1).conditions),
    )
    for other in others:
        assert (stock(plus, wanted) - stock(plus, other)).abs().max() > 1e-3


# The prefix is read once and used often


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_is_not_changed_by_its_use(miniatures: dict[str, Checkpoint], kind: str) -> None:
    checkpoint = miniatures[kind]
    prefix = read(checkpoint, shown(checkpoint, 1))
    tensors = [prefix.embeddings, *(tensor for pair in prefix.keys_and_values for tensor in pair)]
    before = [tensor.clone() for tensor in tensors]
    for prompt in PROMPTS:
        embed(checkpoint, prompt, prefix)
    after = [prefix.embeddings, *(tensor for pair in prefix.keys_and_values for tensor in pair)]
    assert all(now is then for now, then in zip(after, tensors, strict=True))
    assert all(torch.equal(now, then) for now, then in zip(after, before, strict=True))


def test_prompts_in_any_order_are_embedded_bit_for_bit_as_alone(plus: Checkpoint) -> None:
    wanted = shown(plus, 2)
    prompts = ("x", " ", PROMPTS[4])
    alone = {prompt: embed(plus, prompt, read(plus, wanted)) for prompt in prompts}
    prefix = read(plus, wanted)
    for order in permutations(prompts):
        for prompt in order:
            assert torch.equal(embed(plus, prompt, prefix), alone[prompt])


def test_pictures_read_in_between_do_not_matter(plus: Checkpoint) -> None:
    """The text encoder keeps nothing of the last pictures for the next prompt."""
    several = [shown(plus, count, first=10 * count) for count in (1, 3, 2)]
    alone = [embed(plus, PROMPTS[1], read(plus, wanted)) for wanted in several]
    prefixes = [read(plus, wanted) for wanted in several]
    for index in (2, 0, 1, 1, 0, 2):
        assert torch.equal(embed(plus, PROMPTS[1], prefixes[index]), alone[index])
        stock(plus, several[0])


def test_an_interrupted_prompt_leaves_the_prefix_usable(plus: Checkpoint) -> None:
    prefix = read(plus, shown(plus, 1))
    expected = embed(plus, "x", prefix)
    layers = plus.pipeline.text_encoder.model.language_model.layers

    def fault(*_: object) -> None:
        raise torch.OutOfMemoryError("short")

    hook = layers[-1].register_forward_pre_hook(fault)  # the layers before have run
    try:
        with pytest.raises(torch.OutOfMemoryError):
            embed(plus, PROMPTS[4], prefix)
    finally:
        hook.remove()
    assert torch.equal(embed(plus, "x", prefix), expected)


def test_a_prefix_counts_all_its_bytes(plus: Checkpoint) -> None:
    """By the shapes of the text encoder: keys and values of every layer, and the last states."""
    prefix = read(plus, shown(plus, 2))
    config = plus.pipeline.text_encoder.config.text_config
    dropped = plus.pipeline.prompt_template_encode_start_idx
    tokens = dropped + prefix.embeddings.shape[1]
    head = config.hidden_size // config.num_attention_heads
    keys_and_values = 2 * config.num_hidden_layers * config.num_key_value_heads * head
    values = (tokens - dropped) * config.hidden_size + tokens * keys_and_values
    assert prefix.nbytes == values * torch.float32.itemsize
