import shutil
from pathlib import Path

import pytest
from PIL import ImageFont

from serve_app.errors import InvalidRequest
from serve_app.images.fonts import find_font, font_names

SYSTEM = Path("/usr/share/fonts")
DEJAVU = SYSTEM / "truetype/dejavu/DejaVuSans.ttf"
needs_fonts = pytest.mark.skipif(not DEJAVU.exists(), reason="the machine has no DejaVu fonts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Brand Sans in a folder below, and two files that are no fonts."""
    (tmp_path / "brand").mkdir()
    built_in = ImageFont.load_default(20)
    if not isinstance(built_in, ImageFont.FreeTypeFont):
        pytest.skip("Pillow has no FreeType")
    built_in.path.seek(0)
    (tmp_path / "brand" / "Brand Sans.TTF").write_bytes(built_in.path.read())
    (tmp_path / "Broken.otf").write_bytes(b"no font")
    (tmp_path / "readme.txt").write_text("no font either")
    return tmp_path


def test_names_are_those_of_fonts_anywhere_below(folder: Path) -> None:
    assert font_names(folder) == ["Brand Sans", "Broken"]
    assert font_names(folder / "absent") == []


@pytest.mark.parametrize("name", ["Brand Sans", "brand sans", "BRAND SANS"])
def test_a_font_is_found_in_either_case_and_has_sizes(folder: Path, name: str) -> None:
    font = find_font(folder, name)
    assert font.name == "Brand Sans"
    assert font.at(40).getlength("brand") == pytest.approx(2 * font.at(20).getlength("brand"), 0.05)


def test_without_a_name_it_is_the_built_in_one(folder: Path) -> None:
    assert find_font(None, None) == find_font(folder, None)
    assert find_font(None, None).at(20).getlength("words") > 30


@pytest.mark.parametrize(
    "name", ["Brand Sand", "../Broken", "brand/Brand Sans", "Brand Sans.TTF", "", "readme"]
)
def test_other_names_are_refused_with_those_that_are_near(folder: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there are .*Br") as refused:
        find_font(folder, name)
    assert refused.value.param == "brand.font"
    assert str(folder) not in refused.value.message


def test_a_broken_font_is_refused_without_words_of_a_library(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="'Broken' can't be read") as refused:
        find_font(folder, "Broken")
    assert refused.value.param == "brand.font"
    assert str(folder) not in refused.value.message


@pytest.mark.parametrize("where", [None, "empty"])
def test_where_there_are_no_fonts_none_can_be_named(where: str | None, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="leave `font` out"):
        find_font(None if where is None else tmp_path, "DejaVuSans")


def test_the_built_in_font_lacks_other_scripts() -> None:
    font = find_font(None, None)
    assert font.lacks("Winter sale, 50 % off!\n") == ""
    assert font.lacks("50 % 할인 할인") == "할인"


@needs_fonts
def test_what_a_font_lacks_is_told_once_and_in_order(tmp_path: Path) -> None:
    shutil.copy(DEJAVU, tmp_path)
    font = find_font(tmp_path, "dejavusans")
    assert font.lacks("Ünïcode Ελληνικά Кириллица") == ""
    assert font.lacks("稽 and 亭 and 稽") == "稽亭"
    assert font.lacks("e\u0301 \u200b\t\u00a0") == ""
    assert font.lacks("\ue123 and \U0010fffd") == "\ue123\U0010fffd"
