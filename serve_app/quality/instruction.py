"""Whether the instruction was followed: what a judge model says, or what was read."""

from __future__ import annotations

from serve_app.edits.request import EditType
from serve_app.quality import lettering
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject


def instruction(subject: Subject) -> Measurement:
    """The judge's score as a multiple of its threshold: from 1 on it was followed.

    Without a judge an edit of text is still decided by reading, if the words are known: what it
    was to say is all that was asked. Nothing else is guessed.
    """
    opinion = subject.case.opinion
    if opinion is not None:
        answers = {answer.question: answer.yes for answer in opinion.answers}
        evidence = {"judge": opinion.judge, "score": opinion.score, "answers": answers}
        return Measurement(opinion.score / max(opinion.threshold, 1e-9), evidence)
    if subject.case.edit_type is EditType.TEXT:
        return _by_reading(subject)
    return Measurement.skipped("no judge is configured")


def _by_reading(subject: Subject) -> Measurement:
    read = [check(subject) for check in (lettering.target_text, lettering.old_text)]
    told = [found for found in read if found is not None]
    if not told or any(found.value is None for found in told):
        return Measurement.skipped("no judge is configured, and the text could not be read")
    # Whether it reads right is decided by the checks of text, each with its own limit.
    return Measurement(1.0, {"judge": "reading"})
