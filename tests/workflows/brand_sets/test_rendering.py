import numpy as np
import pytest

from serve_app.config import BrandConfig
from serve_app.images.framing import Fit
from serve_app.images.pixels import RGB, content_id
from serve_app.workflows.brand_sets.plan import Brand, Logo, TargetFormat, Variation
from serve_app.workflows.brand_sets.rendering import Artwork
from tests.conftest import decoded, photo

CONFIG = BrandConfig()
STORY = TargetFormat("instagram_story", "instagram", 270, 480)
PLAIN = Variation("summer", "make it summer", {})
RED = (200, 20, 30)


def artwork(brand: Brand, logo: RGB | None = None, opacity: RGB | None = None) -> Artwork:
    return Artwork.of(brand, CONFIG, logo, opacity, STORY.width)


def test_a_format_has_its_size_its_name_and_its_file() -> None:
    made = artwork(Brand()).render(photo("coffee"), STORY, PLAIN, Fit.CROP)
    pixels = decoded(made.png)
    assert pixels.shape == (480, 270, 3)
    assert made.id == content_id(pixels)
    assert made.name == "instagram/270x480/summer.png"
    assert made.colours is None


def test_how_much_of_it_is_in_the_brands_colours_is_measured() -> None:
    edited = np.full((480, 270, 3), (240, 240, 240), np.uint8)
    edited[:240] = RED
    found = artwork(Brand(colors=("#C8141E",))).render(edited, STORY, PLAIN, Fit.CROP).colours
    assert found is not None
    assert found["share"] == pytest.approx(0.5, abs=0.02)
    assert not found["missing"]


def test_the_logo_is_composited_where_it_belongs() -> None:
    logo = np.full((64, 64, 3), RED, np.uint8)
    brand = Brand(logo=Logo("img", width=0.25))
    edited = photo("coffee")
    bare = decoded(artwork(Brand()).render(edited, STORY, PLAIN, Fit.CROP).png)
    opacity = np.full((64, 64, 3), 255, np.uint8)
    opacity[:, :32] = 0
    logo[:, :32] = 255  # as it is stored: transparent pixels are white
    made = decoded(artwork(brand, logo, opacity).render(edited, STORY, PLAIN, Fit.CROP).png)
    changed = (made != bare).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert rows.min() > 480 / 2
    assert columns.min() > 270 / 2
    # Half of the logo is transparent: there the picture is seen as it was.
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height / width == pytest.approx(2.0, abs=0.3)
    assert (made[changed] == RED).all(axis=-1).mean() > 0.8


def test_an_opacity_of_another_size_is_brought_to_the_logos() -> None:
    logo = np.full((64, 64, 3), RED, np.uint8)
    opacity = np.full((16, 16, 3), 255, np.uint8)
    opacity[:, :8] = 0
    made = artwork(Brand(logo=Logo("img")), logo, opacity)
    assert made.logo is not None
    assert made.logo.shape == (64, 64, 4)
    assert made.logo[:, :24, 3].max() < 40
    assert made.logo[:, 40:, 3].min() > 215


def test_of_a_large_logo_no_more_is_kept_than_can_be_seen() -> None:
    logo = np.full((3000, 3000, 3), RED, np.uint8)
    made = artwork(Brand(logo=Logo("img", width=0.5)), logo, np.full((9, 9, 3), 9, np.uint8))
    assert made.logo is not None
    assert max(made.logo.shape[:2]) <= 2 * 0.5 * STORY.width


def test_a_caption_leaves_the_logos_end_free() -> None:
    edited = np.full((480, 270, 3), 128, np.uint8)
    named = Variation("summer", "make it summer", {}, caption="Summer sale")
    logo = np.full((40, 40, 3), RED, np.uint8)
    below = decoded(artwork(Brand()).render(edited, STORY, named, Fit.CROP).png)
    assert (below[:240] == 128).all()
    assert (below[240:] != 128).any()
    both = decoded(
        artwork(Brand(logo=Logo("img")), logo).render(edited, STORY, named, Fit.CROP).png
    )
    assert (both[:120] != 128).any()
