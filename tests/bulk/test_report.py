"""The report: its figures are those of the results, and nothing a user wrote is markup in it."""

from __future__ import annotations

import base64
import io
import re
import tempfile
import uuid
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.record import RowRecord, Status
from serve_app.bulk.report import REPORT, ReportFacts, write_report
from serve_app.bulk.report.distribution import distribution
from serve_app.bulk.results import RESULTS, write_results
from serve_app.config import CheckLimits, LimitsConfig, QualityConfig
from serve_app.edits.request import EditType
from serve_app.errors import ConfigurationError
from serve_app.storage.byte_store import ByteStore

from .finished import ledger_of, put_part

NASTY = "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>\"'&"
RESUME = "qwen-edit bulk run 'a b.csv' out --config configs/bulk.yaml"
FACTS = ReportFacts("Autumn", "autumn.parquet", 60, RESUME)
SMALL = LimitsConfig(image_pixels=200 * 200)


class Page(HTMLParser):
    """What a browser would see: elements, figures by name, and the text of some parts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.figures: dict[str, float] = {}
        self.shown: dict[str, str] = {}
        self.commands: dict[str, str] = {}
        self.failed_rows: list[int] = []
        self.pairs: dict[str, list[int]] = {"worst": [], "best": []}
        self.sources: list[str] = []
        self.text = ""
        self._into: tuple[dict[str, str], str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if name := given.get("data-figure"):
            assert name not in self.figures, name
            self.figures[name] = float(given["value"] or "nan")
            self._into = (self.shown, name)
        if name := given.get("data-command"):
            self._into = (self.commands, name)
        if row := given.get("data-failed-row"):
            self.failed_rows.append(int(row))
        if kind := given.get("data-pair"):
            self.pairs[kind].append(int(given["data-row"] or 0))
        if tag == "img":
            self.sources.append(given["src"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._into = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._into is not None:
            where, name = self._into
            where[name] = where.get(name, "") + data


def png(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


VERDICTS = ("pass", "pass_unverified", "fail")


def record(row: int) -> RowRecord:
    """A row of each kind, in turn; the values of its checks differ from row to row."""
    if row % 11 == 0:
        code, message = ("edit_failed", NASTY) if row % 2 else ("unusable_image", "Damaged.")
        return RowRecord(row, f"id-{row}", Status.FAILED, 1.8e9 + row, code, message, seconds=0.5)
    return RowRecord(
        row,
        f"id-{row}",
        Status.SUCCEEDED,
        1.8e9 + row,
        verdict=VERDICTS[row % 3],
        reasons=(f"reason of {row}",),
        checks={"ssim": (row * 7 % 60) / 60, "cast": row * 0.1, "noise": 3.0 if row % 9 else 0.0},
        edit_type=list(EditType)[row % 4].value,
        attempts=1 + row % 2,
        seconds=row * 1.5,
        cache=("miss", "hit", "joined", "off")[row % 4],
        image=f"images/3f/{row}.png",
        model="miniature",
        model_revision="abc",
    )


@pytest.fixture(params=["folder", "url"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ByteStore:
    out = str(tmp_path / "out") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    return ByteStore(out)


@pytest.fixture
def root(tmp_path: Path) -> InputRoot:
    (tmp_path / "in").mkdir()
    return InputRoot(str(tmp_path / "in"))


def fill(store: ByteStore, records: Mapping[int, RowRecord]) -> None:
    refused = {3: ("image_not_found", "There is no such image."), 41: ("invalid_value", NASTY)}
    for number in range(3):
        rows = range(20 * number + 1, 20 * number + 21)
        put_part(store, number, rows, {"sku": list(rows)}, refused=refused)
    write_results(store, ledger_of(one for row, one in records.items() if row not in refused))


def page_of(store: ByteStore, root: InputRoot, facts: ReportFacts = FACTS) -> Page:
    write_report(store, root, facts)
    return Page((store.get(REPORT) or b"").decode())


def table_of(store: ByteStore) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(store.get(RESULTS) or b""))


RECORDS = {row: record(row) for row in range(1, 56)}


def test_counts_are_those_of_the_results(store: ByteStore, root: InputRoot) -> None:
    fill(store, RECORDS)
    table, page = table_of(store), page_of(store, root)
    counts = {
        "rows": 60,
        "succeeded": (table.status == "succeeded").sum(),
        "failed": (table.status == "failed").sum(),
        "left": 60 - len(table),
        "cached": table.cache.isin(["hit", "joined"]).sum(),
    }
    counts |= {f"verdict.{one}": (table.verdict == one).sum() for one in VERDICTS}
    counts |= {
        f"failures.{code}": count
        for code, count in table[table.status == "failed"].error_code.value_counts().items()
    }
    assert {name: page.figures[name] for name in counts} == counts
    assert {name: int(page.shown[name].replace(",", "")) for name in counts} == counts


def test_spreads_are_those_of_the_results(store: ByteStore, root: InputRoot) -> None:
    fill(store, RECORDS)
    table, page = table_of(store), page_of(store, root)
    for name, column in {
        "seconds": table.seconds,
        "attempts": table.attempts,
        "check.ssim": table.check_ssim,
        "check.cast": table.check_cast,
        "check.noise": table.check_noise,
    }.items():
        assert page.figures[f"{name}.count"] == column.count()
        assert page.figures[f"{name}.min"] == pytest.approx(column.min())
        assert page.figures[f"{name}.median"] == pytest.approx(column.median())
        assert page.figures[f"{name}.p95"] == pytest.approx(column.quantile(0.95))
        assert page.figures[f"{name}.max"] == pytest.approx(column.max())
    assert "check.grid.count" not in page.figures  # there is no value


def test_missed_checks_are_counted_by_their_limits(store: ByteStore, root: InputRoot) -> None:
    """``cast`` fails over 3.5 and warns over 2.3 in appearance and text, and warns in hybrid."""
    fill(store, RECORDS)
    table, page = table_of(store), page_of(store, root)
    cast, kind = table.check_cast, table.edit_type
    strict = kind.isin(["appearance", "text"])
    assert page.figures["checks.cast.failed"] == (strict & (cast > 3.5)).sum()
    warned = (strict & (cast > 2.3) & (cast <= 3.5)) | ((kind == "hybrid") & (cast > 3.5))
    assert page.figures["checks.cast.warned"] == warned.sum()
    assert "checks.ssim.failed" not in page.figures  # it decides nothing


def test_limits_of_the_run_count(store: ByteStore, root: InputRoot) -> None:
    fill(store, RECORDS)
    quality = QualityConfig(checks={"ssim": {"text": CheckLimits(fail=0.5)}})
    page = page_of(store, root, ReportFacts("t", "m", 60, RESUME, quality=quality))
    table = table_of(store)
    expected = ((table.edit_type == "text") & (table.check_ssim < 0.5)).sum()
    assert page.figures["checks.ssim.failed"] == expected
    unknown = QualityConfig(checks={"beauty": {}})
    with pytest.raises(ConfigurationError):
        write_report(store, root, ReportFacts("t", "m", 60, RESUME, quality=unknown))


def test_the_page_is_self_contained(store: ByteStore, root: InputRoot, tmp_path: Path) -> None:
    fill(store, RECORDS)
    for row in RECORDS:
        store.put(f"images/3f/{row}.png", png(40, 40))
        (tmp_path / "in" / f"{row}.png").write_bytes(png(40, 40))
    page = page_of(store, root)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert len(page.sources) == 24
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "action", "srcset", "data"):
            source = attributes.get(name)
            assert source is None or source.startswith("data:image/jpeg;base64,")
    html = (store.get(REPORT) or b"").decode()
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_nothing_of_the_users_is_markup(store: ByteStore, root: InputRoot) -> None:
    done = RowRecord(
        1,
        NASTY,
        Status.SUCCEEDED,
        1.8e9,
        verdict="fail",
        reasons=(NASTY,),
        image="images/x.png",
        model=NASTY,
        model_revision=NASTY,
    )
    failed = RowRecord(2, NASTY, Status.FAILED, 1.8e9, NASTY, NASTY)
    put_part(store, 0, [1, 2], ids={1: NASTY, 2: NASTY}, prompts={1: NASTY}, images={1: NASTY})
    write_results(store, ledger_of([done, failed]))
    page = page_of(store, root, ReportFacts(NASTY, NASTY, 2, NASTY))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img"})
    assert page.commands["resume"] == NASTY
    # Title twice, manifest, model and revision, two commands, a reason's code, message and id,
    # a pair's id, prompt and reason, a failed row's id, code and message.
    whole = re.sub(r"\s+", " ", page.text)
    assert whole.count(NASTY[:40]) >= 16


def test_pictures_are_small_and_missing_ones_are_no_error(
    store: ByteStore, root: InputRoot, tmp_path: Path
) -> None:
    put_part(store, 0, [1, 2, 3, 4], images={2: "gone.png", 3: "large.png", 4: "broken.png"})
    write_results(
        store,
        ledger_of(
            RowRecord(r, f"id-{r}", Status.SUCCEEDED, 1e9, verdict="fail", image=f"images/{r}.png")
            for r in (1, 2, 3, 4)
        ),
    )
    (tmp_path / "in" / "1.png").write_bytes(png(160, 64, (10, 200, 10)))
    (tmp_path / "in" / "large.png").write_bytes(png(201, 200))
    (tmp_path / "in" / "broken.png").write_bytes(png(50, 50)[:-20])
    store.put("images/1.png", png(100, 390, (10, 10, 200)))
    page = page_of(store, root, ReportFacts("t", "m", 4, "c", SMALL))
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2])))
        for source in page.sources
    ]
    assert [picture.format for picture in pictures] == ["JPEG", "JPEG"]
    assert [picture.size for picture in pictures] == [(160, 64), (82, 320)]
    assert page.text.count("no picture") == 6
    # Each is where it belongs: the input is green, the result is blue.
    before, after = (np.asarray(picture).mean((0, 1)) for picture in pictures)
    assert before.argmax() == 1
    assert after.argmax() == 2


def test_the_worst_fail_most_and_the_best_warn_least(store: ByteStore, root: InputRoot) -> None:
    cast, noise = {"cast": 9.0}, {"noise": 9.0}
    kinds = {
        1: ("pass", {"cast": 3.0}),  # a warning
        2: ("fail", cast),
        3: ("pass_unverified", {"cast": 1.0}),
        4: ("fail", cast | noise),
        5: ("pass", {"cast": 1.0}),
        6: ("fail", noise),
        7: ("pass_unverified", {"cast": 3.0}),
        8: ("pass", {}),
    }
    put_part(store, 0, list(kinds))
    put_part(store, 1, [9], refused={9: ("image_not_found", "Gone.")})
    write_results(
        store,
        ledger_of(
            RowRecord(
                row,
                f"id-{row}",
                Status.SUCCEEDED,
                1e9,
                verdict=verdict,
                checks=checks,
                edit_type="appearance",
                image="images/x.png",
            )
            for row, (verdict, checks) in kinds.items()
        ),
    )
    page = page_of(store, root)
    assert page.pairs == {"worst": [4, 2, 6, 1, 7], "best": [5, 8, 3]}
    assert page_of(store, root).pairs == page.pairs


def test_pairs_are_few_and_no_row_is_in_both(store: ByteStore, root: InputRoot) -> None:
    fill(store, RECORDS)
    pairs = page_of(store, root).pairs
    assert [len(rows) for rows in pairs.values()] == [6, 6]
    assert set(pairs["worst"]).isdisjoint(pairs["best"])


def test_long_prompts_are_cut(store: ByteStore, root: InputRoot) -> None:
    put_part(store, 0, [1], prompts={1: "word " * 800})
    done = RowRecord(1, "id-1", Status.SUCCEEDED, 1e9, verdict="fail", image="images/x.png")
    write_results(store, ledger_of([done]))
    (shown,) = re.findall(r"(?:word )+word…", page_of(store, root).text)
    assert 100 < len(shown) <= 240


def test_the_last_that_failed_come_first_and_refused_ones_last(
    store: ByteStore, root: InputRoot
) -> None:
    put_part(store, 0, range(1, 121), refused={60: ("image_not_found", "Gone.")})
    rows = [row for row in range(1, 121) if row != 60]
    # The later the row, the earlier it ended.
    failed = [RowRecord(r, f"id-{r}", Status.FAILED, 2e9 - r, "edit_failed", "No.") for r in rows]
    write_results(store, ledger_of(failed))
    assert page_of(store, root).failed_rows == list(range(1, 51))
    write_results(store, ledger_of(failed[:9]))
    assert page_of(store, root).failed_rows == [*range(1, 10), 60]


def test_commands_say_how_to_go_on(store: ByteStore, root: InputRoot) -> None:
    fill(store, RECORDS)
    page = page_of(store, root)
    assert page.commands == {"resume": RESUME, "retry": f"{RESUME} --retry-failed"}


def test_without_failures_there_is_nothing_to_retry(store: ByteStore, root: InputRoot) -> None:
    put_part(store, 0, [1])
    write_results(store, ledger_of([RowRecord(1, "id-1", Status.SUCCEEDED, 1e9, verdict="pass")]))
    page = page_of(store, root, ReportFacts("t", "m", 1, RESUME))
    assert page.commands == {"resume": RESUME}
    assert "Every row has ended" in page.text
    assert page.failed_rows == []


def test_a_run_without_any_result_has_a_report(store: ByteStore, root: InputRoot) -> None:
    put_part(store, 0, [1, 2])
    write_results(store, ledger_of([]))
    page = page_of(store, root, ReportFacts("t", "m", 2, RESUME))
    assert (page.figures["left"], page.figures["succeeded"]) == (2, 0)
    assert page.sources == []


def test_without_results_there_is_no_report(store: ByteStore, root: InputRoot) -> None:
    with pytest.raises(FileNotFoundError):
        write_report(store, root, FACTS)
    assert not store.exists(REPORT)


def test_parts_of_another_size_are_found_too(root: InputRoot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ByteStore(folder)
        for number, rows in enumerate(([1], [2, 3, 4], [5, 6])):
            put_part(store, number, rows, prompts={row: f"prompt-{row}" for row in rows})
        done = [
            RowRecord(r, f"id-{r}", Status.SUCCEEDED, 1e9, verdict="fail", image="images/x.png")
            for r in range(1, 7)
        ]
        write_results(store, ledger_of(done))
        text = page_of(store, root).text
    assert [f"prompt-{row}" in text for row in range(1, 7)] == [True] * 6


VALUES = arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 1e6))


@settings(deadline=None)
@given(values=VALUES)
def test_bars_count_each_value_once(values: np.ndarray) -> None:
    spread = distribution(values)
    if spread is None:
        assert len(values) == 0
        return
    assert sum(bar.count for bar in spread.bars) == spread.count == len(values)
    assert (spread.minimum, spread.maximum) == (values.min(), values.max())
    assert max(bar.height for bar in spread.bars) == 1.0
    assert all(0 <= bar.height <= 1 for bar in spread.bars)


def test_values_that_are_not_numbers_are_left_out() -> None:
    spread = distribution(np.array([np.nan, 1.0, np.inf, 2.0]))
    assert spread is not None
    assert (spread.count, spread.minimum, spread.maximum) == (2, 1.0, 2.0)
    assert distribution(np.array([np.nan])) is None


def test_one_far_value_does_not_flatten_the_others() -> None:
    values = np.append(np.linspace(0, 10, 1000), 1e6)
    spread = distribution(values)
    assert spread is not None
    assert spread.open
    assert spread.maximum == 1e6
    assert spread.bars[-1].high < 11
    assert min(bar.count for bar in spread.bars) > 10


def test_values_as_close_as_floats_can_be_have_bars() -> None:
    values = 1.0 + np.arange(20) * np.finfo(float).eps
    spread = distribution(values)
    assert spread is not None
    assert sum(bar.count for bar in spread.bars) == 20
