"""The instruction of a brand set's edits, from the configured template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import Formatter

from serve_app.workflows.brand_sets.plan import Brand


def branded_prompt(template: Sequence[str], prompt: str, brand: Brand) -> str:
    """The sentences of ``template`` for ``prompt`` in a ``brand``.

    A sentence that names something which the brand doesn't say is left out.
    """
    facts = {
        "prompt": _ended(prompt),
        "name": brand.name,
        "colors": ", ".join(brand.colors) or None,
        "style": brand.style,
        "logo_position": None if brand.logo is None else brand.logo.position.replace("_", " "),
    }
    sentences = (
        sentence.format_map(facts)
        for sentence in template
        if all(facts[name] is not None for name in _named(sentence))
    )
    return " ".join(sentences)


def _named(sentence: str) -> Iterator[str]:
    return (name for _, name, _, _ in Formatter().parse(sentence) if name is not None)


def _ended(prompt: str) -> str:
    """``prompt`` with a full stop, so that what follows is another sentence."""
    return prompt if prompt[-1] in ".!?。！？" else f"{prompt}."
