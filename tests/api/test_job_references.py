"""Images that a specification names again and again, and where errors about them are told."""

from __future__ import annotations

from typing import Any, SupportsIndex

import pytest

from serve_app.api.job_references import References
from serve_app.api.sources import parse_source
from serve_app.errors import InvalidRequest, NotFound
from tests.api.conftest import DATA_URL


class Sliced(str):
    """Text that counts how often a part of it is copied."""

    __slots__ = ("times",)
    times: int

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        self.times += 1
        return super().__getitem__(key)


def sliced(text: str) -> Sliced:
    counted = Sliced(text)
    counted.times = 0
    return counted


def test_a_data_url_is_taken_apart_once_however_often_it_is_named() -> None:
    once, often = sliced(DATA_URL), sliced(DATA_URL)
    parse_source(once, "image")
    references = References({}, 4)
    named = {references.image(often, f"items.{i}.image") for i in range(1000)}
    named |= {references.image({"image_url": often}, f"items.{i}.image") for i in range(1000)}
    named |= set(references.images([often, often], "image"))
    assert len(named) == 1
    references.mask(often, "mask")
    references.logo(often, "logo")
    references.complain_at("parameters.image", often)
    assert once.times > 0
    assert often.times == once.times


@pytest.mark.parametrize("value", [3, None, [], {}, {"url": DATA_URL}, {"image_url": ["@a"]}])
def test_what_names_no_image_is_refused_each_time(value: Any) -> None:
    references = References({"a": b""}, 4)
    for param in ("image", "items.0.image"):
        with pytest.raises(InvalidRequest) as caught:
            references.image(value, param)
        assert caught.value.param == param


def test_a_part_that_did_not_come_is_told_where_it_is_wanted() -> None:
    references = References({"a": b"x"}, 4)
    references.image("@a", "image")
    with pytest.raises(NotFound) as caught:
        references.complain_at("parameters.image", "@b")
    assert caught.value.param == "parameters.image"
