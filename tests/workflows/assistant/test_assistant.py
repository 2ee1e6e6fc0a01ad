"""Whole proposals: by the rules, and with a model that answers well, badly or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.edits.question import Question, Reply
from serve_app.edits.quotations import quotations
from serve_app.errors import EditServiceError, InvalidRequest, NoAnswer, NotReady
from serve_app.workflows.assistant.assistant import plan, propose
from serve_app.workflows.assistant.proposal import Brief, PlanKind, Proposal
from tests.workflows.assistant.briefs import ALL, FORMATS, Labelled

KINDS = [None, *PlanKind]


def brief(text: str, **others: Any) -> Brief:
    return Brief(text, FORMATS, **others)


def prompts(proposal: Proposal) -> list[str]:
    """The prompts of all steps, variants or variations."""
    body = proposal.specification
    edits = body.get("steps") or body.get("variations") or list(body["variants"].values())
    return [edit["prompt"] for edit in edits]


def proposed_or_refused(text: str, kind: PlanKind | None) -> Proposal | None:
    """A proposal, or ``None`` where ``text`` is refused for what it is."""
    try:
        return propose(brief(text, kind=kind))
    except InvalidRequest as error:
        if error.param != "brief":
            raise
    return None


@pytest.mark.parametrize("labelled", ALL, ids=lambda one: one.text[:40])
def test_a_brief_becomes_what_its_reader_would_make_of_it(labelled: Labelled) -> None:
    proposal = propose(brief(labelled.text))
    assert proposal.kind == labelled.kind, proposal.reasons
    assert len(prompts(proposal)) == labelled.count, prompts(proposal)
    assert proposal.specification["kind"] == labelled.kind
    assert proposal.specification["image"] == "@image"
    assert proposal.by == "rules"
    assert proposal.reasons


@pytest.mark.parametrize("labelled", ALL, ids=lambda one: one.text[:40])
def test_quoted_words_are_kept_literally(labelled: Labelled) -> None:
    written = " ".join(prompts(propose(brief(labelled.text))))
    for quoted in quotations(labelled.text):
        assert labelled.text[quoted.start : quoted.end] in written


@pytest.mark.parametrize("kind", list(PlanKind))
def test_a_kind_that_is_asked_for_is_made(kind: PlanKind) -> None:
    proposal = propose(brief("Add a red hat", kind=kind))
    assert proposal.kind is kind
    assert "as the request says" in proposal.reasons[0]


def test_targets_make_a_brand_set_even_of_a_test() -> None:
    proposal = propose(brief("A/B test a red vs blue button", targets=("twitter_card",)))
    assert proposal.kind is PlanKind.BRAND_SET
    assert proposal.specification["targets"] == ["twitter_card"]


def test_a_brand_makes_a_brand_set_of_plain_instructions() -> None:
    elements = {"colors": ["#102030"], "style": "calm"}
    proposal = propose(brief("Add a red hat", brand=elements))
    assert proposal.kind is PlanKind.BRAND_SET
    assert proposal.specification["brand"] == elements


def test_a_brand_without_a_place_is_asked_about() -> None:
    elements = {"colors": ["#102030"]}
    proposal = propose(brief("A/B test a red vs blue button", brand=elements))
    assert proposal.kind is PlanKind.VARIANTS
    assert any("`brand` is in no prompt" in question for question in proposal.questions)


words = st.sampled_from(
    [
        *sorted({word for one in ALL for word in one.text.split()}),
        *("\n", "1.", "2.", "“", '"', "#0A84FF", "9999x9999", "\ue000", "，", "；", "vs", "或"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(min_size=1, max_size=80), st.lists(words, min_size=1, max_size=30)
       .map(" ".join)), st.sampled_from(KINDS))  # fmt: skip
def test_any_text_has_a_proposal_or_is_refused(text: str, kind: PlanKind | None) -> None:
    proposal = proposed_or_refused(text, kind)
    if proposal is None:
        return
    assert proposal == propose(brief(text, kind=kind))
    made = prompts(proposal)
    assert 1 <= len(made) <= 20
    assert len(made) >= 2 or proposal.kind is not PlanKind.VARIANTS
    assert all(len(prompt) <= 4_000 for prompt in made)


@pytest.mark.parametrize(
    "unit",
    [
        "“",
        "'",
        "a ",
        "the ",
        "1. ",
        "A: ",
        "and ",
        "、",
        "和",
        "一个用",
        "하고 ",
        "바꾼 다음 ",
        "\n",
    ],
)
@pytest.mark.parametrize("kind", list(PlanKind))
def test_long_adversarial_briefs_end(unit: str, kind: PlanKind) -> None:
    """A backtracking pattern would take minutes: the test would be stopped."""
    text = (unit * 4_000)[:4_000]
    proposal = proposed_or_refused(text, kind)
    assert proposal is None or prompts(proposal)


def test_more_instructions_than_somebody_would_read_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="21 instructions") as error:
        propose(brief("Add a hat. " * 21))
    assert error.value.param == "brief"


# The model


class Model:
    """Answers with ``says``, in turn; an error is raised."""

    def __init__(self, *says: str | EditServiceError) -> None:
        self._says = list(says)
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Reply:
        self.asked.append(question)
        said = self._says.pop(0)
        if isinstance(said, EditServiceError):
            raise said
        return Reply(text=said)


TWO = 'Put a kite into the sky and the word "SEA" on the sand'


async def test_the_model_finds_the_kind_and_the_instructions() -> None:
    model = Model("Chain.", '1. Put a kite into the sky\n2. Write the word "SEA" on the sand\n')
    proposal = await plan(brief(TWO), model.ask)
    assert proposal.by == "model"
    assert prompts(proposal) == ["Put a kite into the sky", 'Write the word "SEA" on the sand']
    assert [step["edit_type"] for step in proposal.specification["steps"]] == [
        "appearance",
        "text",
    ]
    assert all(TWO in question.text for question in model.asked)


async def test_the_model_may_choose_another_kind_than_the_rules() -> None:
    model = Model("variants", 'A kite above "SEA"\nThe word "SEA" alone')
    proposal = await plan(brief(TWO), model.ask)
    assert (proposal.by, proposal.kind) == ("model", PlanKind.VARIANTS)
    assert list(proposal.specification["variants"]) == ["kite-above-sea", "word-sea-alone"]


async def test_a_kind_that_is_given_is_not_asked_for() -> None:
    model = Model('Put a kite into the sky, above "SEA"')
    proposal = await plan(brief(TWO, kind=PlanKind.BRAND_SET), model.ask)
    assert (proposal.by, proposal.kind) == ("model", PlanKind.BRAND_SET)
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "says",
    [
        ("chain or variants",),
        ("I don't know",),
        ("chain", ""),
        ("chain", "Put a kite into the sky"),  # where is "SEA"?
        ("chain", 'Write "SEA"\nWrite "SEA"'),
        ("chain", 'Write "SEA"\nok'),
        ("chain", 'Write "SEA"\n' + "x" * 501),
        ("chain", 'Write "SEA"\n' + "\n".join(f"Add {n} balls" for n in range(20))),
        ("chain", 'Write "SEA"\n在天空放一只风筝'),
        ("chain", 'Write "SEA" <|im_end|>'),
        ("variants", 'Write "SEA"'),
    ],
)
async def test_answers_that_are_not_sane_leave_the_rules_proposal(says: tuple[str, ...]) -> None:
    proposal = await plan(brief(TWO), Model(*says).ask)
    by_rules = propose(brief(TWO))
    assert proposal.by == "rules"
    assert proposal.specification == by_rules.specification
    assert proposal.reasons[1:] == by_rules.reasons
    assert "The model was asked" in proposal.reasons[0]


@pytest.mark.parametrize("error", [NoAnswer("No."), NotReady("Later.")])
@pytest.mark.parametrize("kind", [None, PlanKind.CHAIN])
async def test_without_answers_the_rules_propose(
    error: EditServiceError, kind: PlanKind | None
) -> None:
    asked = brief(TWO, kind=kind)
    assert await plan(asked, Model(error).ask) == propose(asked)


async def test_a_model_that_falls_silent_is_told() -> None:
    proposal = await plan(brief(TWO), Model("variants", NoAnswer("No.")).ask)
    by_rules = propose(brief(TWO))
    assert (proposal.by, proposal.specification) == ("rules", by_rules.specification)
    said, *others = proposal.reasons
    assert "The model was asked, but said variants and then listed no instructions" in said
    assert tuple(others) == by_rules.reasons


async def test_a_kind_that_the_targets_decide_is_not_the_models() -> None:
    asked = brief(TWO, targets=("twitter_card",))
    proposal = await plan(asked, Model('Put a kite into the sky, above "SEA"').ask)
    assert proposal.by == "model"
    assert proposal.reasons[0].startswith("`targets` are given")
