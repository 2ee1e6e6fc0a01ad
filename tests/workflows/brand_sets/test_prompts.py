import pytest
from pydantic import ValidationError

from serve_app.config import BrandConfig
from serve_app.workflows.brand_sets.plan import Brand, Logo
from serve_app.workflows.brand_sets.prompts import branded_prompt

TEMPLATE = BrandConfig().prompt


def test_a_sentence_about_what_the_brand_does_not_say_is_left_out() -> None:
    assert branded_prompt(TEMPLATE, "make it summer", Brand()) == "make it summer."
    colours = Brand(colors=("#0A84FF", "#FFFFFF"))
    assert branded_prompt(TEMPLATE, "make it summer", colours) == (
        "make it summer. Use the brand's colours: #0A84FF, #FFFFFF."
    )
    everything = Brand("Acme", ("#0A84FF",), "calm", None, Logo("img"))
    prompt = branded_prompt(TEMPLATE, "夏天的样子。", everything)
    assert prompt.startswith("夏天的样子。 Use the brand's colours: #0A84FF. Style: calm.")
    assert "bottom right" in prompt


def test_the_template_is_configuration() -> None:
    template = BrandConfig(prompt=("For {name}:", "{prompt}")).prompt
    assert branded_prompt(template, "make it blue!", Brand("Acme")) == "For Acme: make it blue!"
    assert branded_prompt(template, "make it blue!", Brand()) == "make it blue!"


@pytest.mark.parametrize("prompt", [("{prompt",), ("{prompt} {colour}",), ("{name}",)])
def test_a_template_that_can_not_be_filled_is_refused(prompt: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="prompt"):
        BrandConfig(prompt=prompt)


def test_braces_in_what_users_write_are_plain_text() -> None:
    assert branded_prompt(TEMPLATE, "write {name}", Brand("Acme")) == "write {name}."
