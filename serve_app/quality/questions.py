"""A judge that asks a vision-language model simple questions about both pictures.

One question for each thing that can go wrong is answered better than one for all of it
(Cho et al., "Davidsonian Scene Graph", 2024), and tells what did go wrong. Two of them ask
whether the instruction was followed and two what else happened, as do the parts of VIEScore
(Ku et al., 2024).
"""

from __future__ import annotations

import asyncio

from serve_app.edits.question import Ask, Question
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import TextTargets
from serve_app.errors import NoAnswer
from serve_app.images.geometry import resize, within
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.opinion import Answer, Opinion

_SAME_ELSEWHERE = (
    "Apart from what the instruction asks for, does Picture 2 show the same things in the same "
    "places as Picture 1?"
)


def decompose(edit_type: EditType, text: TextTargets) -> tuple[str, ...]:
    """The yes-or-no questions about an edit; "yes" is always the good answer."""
    questions = [
        "Is the change that the instruction asks for visible in Picture 2?",
        "Is everything that the instruction asks for done in Picture 2?",
    ]
    if text.expected:
        questions.append(f"Can the text {_quoted(text.expected)} be read in Picture 2?")
    if text.old:
        questions.append(f"Is the text {_quoted(text.old)} gone from Picture 2?")
    if edit_type is not EditType.SEMANTIC:  # there the whole picture may change
        questions.append(_SAME_ELSEWHERE)
    questions.append("Is Picture 2 free of smears, noise and deformed shapes?")
    return tuple(questions)


def put(question: str, prompt: str) -> str:
    """A question as the model gets it: with the instruction that it is about."""
    return f"Picture 2 was made from Picture 1 by the instruction {_quoted(prompt)}. {question}"


class TextEncoderJudge:
    """Asks the editors' own text encoder, by ``ask``, showing at most ``side`` pixels a side.

    The score is the least "yes" of all questions: what the edit does worst decides, as within
    each part of VIEScore, so that looking natural doesn't make up for the wrong change.
    """

    def __init__(self, ask: Ask, threshold: float, side: int) -> None:
        self._ask = ask
        self._threshold = threshold
        self._side = side

    async def opinion(self, case: Case) -> Opinion | None:
        """Ask all questions at once; raises what ``ask`` does."""
        if not case.prompt.strip():
            return None
        # Each question takes both pictures along to the editor.
        shown = await asyncio.to_thread(self._reduced, case.original, case.edited)
        questions = decompose(case.edit_type, case.text)
        answers = await asyncio.gather(*(self._answer(case, shown, it) for it in questions))
        score = min(answer.yes for answer in answers)
        return Opinion("text_encoder", score, self._threshold, tuple(answers))

    async def _answer(self, case: Case, shown: tuple[RGB, ...], question: str) -> Answer:
        reply = await self._ask(Question(put(question, case.prompt), shown))
        if reply.yes is None:
            raise NoAnswer("A yes-or-no question was answered in words.")
        return Answer(question, reply.yes)

    def _reduced(self, *pictures: RGB) -> tuple[RGB, ...]:
        return tuple(resize(picture, within(picture, self._side)) for picture in pictures)


def _quoted(text: str) -> str:
    """``text`` on one line between quotation marks that it can't close."""
    return '"' + " ".join(text.replace('"', "'").split()) + '"'
