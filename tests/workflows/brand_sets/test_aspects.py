from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serve_app.config import BrandConfig
from serve_app.workflows.brand_sets.aspects import grouped
from serve_app.workflows.brand_sets.plan import TargetFormat


def formats(*sizes: tuple[int, int]) -> tuple[TargetFormat, ...]:
    return tuple(
        TargetFormat(f"t{index}", "web", width, height)
        for index, (width, height) in enumerate(sizes)
    )


def test_the_built_in_formats_are_edited_upright_square_and_wide() -> None:
    targets = [
        TargetFormat(name, one.platform, one.width, one.height)
        for name, one in BrandConfig().targets.items()
    ]
    groups = grouped(targets, BrandConfig().aspect_group)
    names = [[targets[index].name for index in group] for group in groups]
    assert names == [
        ["instagram_story"],
        ["instagram_post"],
        # The canvas is the one in the middle: what the others lose is least.
        ["twitter_card", "blog_thumbnail", "blog_header"],
    ]


def test_formats_of_one_shape_are_edited_once_at_the_largest() -> None:
    assert grouped(formats((100, 50), (400, 200), (200, 100)), 1.0) == ((1, 0, 2),)


sizes = st.tuples(st.integers(16, 4000), st.integers(16, 4000))


@given(st.lists(sizes, min_size=1, max_size=12), st.floats(1.0, 3.0))
def test_every_format_is_in_one_group_of_like_shapes(
    sizes: list[tuple[int, int]], factor: float
) -> None:
    targets = formats(*sizes)
    groups = grouped(targets, factor)
    assert sorted(index for group in groups for index in group) == list(range(len(targets)))
    for group in groups:
        aspects = [targets[index].aspect for index in group]
        assert max(aspects) <= factor * min(aspects) * (1 + 1e-12)
    # No two groups could be one.
    for one, other in pairwise(groups):
        narrowest = min(targets[index].aspect for index in one)
        widest = max(targets[index].aspect for index in other)
        assert widest > factor * narrowest
