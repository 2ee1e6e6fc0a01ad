import pytest

from serve_app.config import BrandConfig
from serve_app.errors import InvalidRequest
from serve_app.images.framing import Fit
from serve_app.workflows.brand_sets.captions import check_captions
from serve_app.workflows.brand_sets.plan import Brand, BrandSet, TargetFormat, Variation

POST = TargetFormat("post", "web", 1080, 1080)
BANNER = TargetFormat("banner", "web", 728, 90)


def brand_set(*captions: str | None, targets: tuple[TargetFormat, ...] = (POST,)) -> BrandSet:
    variations = tuple(
        Variation(f"v{index}", "make it blue", {}, caption)
        for index, caption in enumerate(captions)
    )
    return BrandSet(Brand(), variations, targets, ((0,),), Fit.CROP)


def test_captions_that_can_be_written_everywhere() -> None:
    check_captions(brand_set("Summer sale", None, "Up and away"), BrandConfig())


@pytest.mark.parametrize(
    ("made", "param", "words"),
    [
        (brand_set(None, "Summer sale", targets=(POST, BANNER)), "variations.1.caption", "728x90"),
        (brand_set("Summer", "여름 세일"), "variations.1.caption", "여름"),
    ],
)
def test_what_can_not_be_written_is_told_before_anything_is_edited(
    made: BrandSet, param: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        check_captions(made, BrandConfig())
    assert refused.value.param == param
