"""What a workflow asks the editors' text encoder, and what it does without an answer."""

from __future__ import annotations

import asyncio
import logging

from cachetools import LRUCache

from serve_app.edits.classification import Classification
from serve_app.edits.question import Ask, Question, Reply
from serve_app.edits.type_question import edit_type_of, type_question
from serve_app.errors import EditServiceError

logger = logging.getLogger(__name__)

_REMEMBERED = 1024
"""Prompts: so many short strings are nothing."""


async def answer_within(ask: Ask, question: Question, patience_s: float) -> Reply | None:
    """The reply to ``question``; ``None`` if there is none within ``patience_s`` seconds."""
    try:
        async with asyncio.timeout(patience_s):
            return await ask(question)
    except (EditServiceError, TimeoutError) as error:
        logger.warning("a question was not answered: %s", type(error).__name__)
        return None


class TypeAsker:
    """The edit types of prompts, by the model.

    Answers are remembered: a prompt whose type changed would be another edit.
    """

    def __init__(self, ask: Ask, patience_s: float) -> None:
        self._ask = ask
        self._patience_s = patience_s
        self._known: LRUCache[str, Classification] = LRUCache(_REMEMBERED)

    async def classify(self, prompt: str) -> Classification | None:
        """The type of ``prompt``; ``None`` where the model gives none."""
        known: Classification | None = self._known.get(prompt)
        if known is not None:
            return known
        reply = await answer_within(self._ask, type_question(prompt), self._patience_s)
        edit_type = None if reply is None else edit_type_of(reply)
        if edit_type is None:
            return None
        self._known[prompt] = found = Classification(edit_type, "The model says so.")
        return found
