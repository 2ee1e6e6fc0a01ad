"""Ideas as instructions that an image editing model follows, in the language of the brief."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.edits.rewriting import Language, language_of
from serve_app.errors import InvalidRequest
from serve_app.workflows.assistant.passage import Passage
from serve_app.workflows.assistant.vocabulary import instructs

_CHANGE: dict[Language, str] = {
    "en": "Change the picture to this: {idea}",
    "zh": "按以下内容修改画面：{idea}",
    "ko": "사진을 다음과 같이 바꿔 주세요: {idea}",
}
_CHANGE_ONE: dict[Language, str] = {
    "en": "Change the {subject} to this: {idea}",
    "zh": "把{subject}改成：{idea}",
    "ko": "사진에서 {subject} 부분을 다음과 같이 바꿔 주세요: {idea}",
}
_SUBTLE: dict[Language, str] = {
    "en": "Keep the change subtle.",
    "zh": "改动要克制、不显眼。",
    "ko": "변화는 은은하게 해 주세요.",
}
_BOLD: dict[Language, str] = {
    "en": "Make the change bold and striking.",
    "zh": "改动要大胆、醒目。",
    "ko": "변화는 대담하고 눈에 띄게 해 주세요.",
}
_KEEP: dict[Language, str] = {
    "en": "Keep the subject as it is, and give the picture a clean, polished look.",
    "zh": "保持主体不变，让画面干净、精致。",
    "ko": "주제는 그대로 두고 사진을 깔끔하고 세련되게 보정해 주세요.",
}


def prompt_of(
    idea: Passage,
    shared: Sequence[Passage],
    language: Language,
    most: int,
    subject: str | None = None,
) -> str:
    """``idea`` as an instruction, after the ``shared`` ones; at most ``most`` characters.

    What has a verb stays as it is; other ideas are put into a sentence, about the ``subject`` in
    the picture if one is known. Where that is too long, the shared instructions are left out, and
    then the sentence.

    Raises:
        InvalidRequest: If ``idea`` alone is too long.
    """
    own = idea.line
    sentence = _CHANGE if subject is None else _CHANGE_ONE
    framed = own if instructs(idea) else sentence[language].format(idea=own, subject=subject)
    whole = ". ".join([*(one.line for one in shared), framed])
    for one in (whole, framed):
        if len(one) <= most:
            return one
    return _fitting(own, most)


def subtle_and_bold(instruction: str, most: int) -> tuple[str, str]:
    """The same instruction twice: carried out with restraint, and boldly.

    Raises:
        InvalidRequest: If there is no room for that in ``most`` characters.
    """
    language = language_of(instruction)
    sentences = (_SUBTLE[language], _BOLD[language])
    own = _fitting(instruction, most - max(map(len, sentences)) - 2)
    gap = "" if language == "zh" else " "
    end = "" if own.endswith((".", "!", "?", "。", "！", "？")) else "." if gap else "。"
    subtle, bold = (f"{own}{end}{gap}{sentence}" for sentence in sentences)
    return subtle, bold


def _fitting(prompt: str, most: int) -> str:
    if len(prompt) > most:
        raise InvalidRequest(
            f"`brief` has an instruction of {len(prompt)} characters. Together with what is said "
            f"of the kind of job there is room for {max(0, most)}: shorten it.",
            "brief",
        )
    return prompt


def kept_subject(language: Language) -> str:
    """An instruction for a brief that names formats and no change."""
    return _KEEP[language]
