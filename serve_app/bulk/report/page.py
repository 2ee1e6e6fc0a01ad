"""The page itself: figures and pictures put into a template that escapes whatever it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.report.choice import choose
from serve_app.bulk.report.facts import ReportFacts
from serve_app.bulk.report.figures import figures
from serve_app.bulk.report.judged import judged
from serve_app.bulk.report.pairs import pairs
from serve_app.bulk.report.results_file import open_results
from serve_app.bulk.wording import duration, shortened
from serve_app.storage.byte_store import ByteStore

REPORT = "report.html"

VERDICT_WORDS = {"pass": "pass", "pass_unverified": "pass, unverified", "fail": "fail"}


def write_report(store: ByteStore, root: InputRoot, facts: ReportFacts) -> None:
    """Write ``report.html`` of the results in ``store``, with inputs from ``root``.

    Raises ``FileNotFoundError`` if there are no results, ``NotReady`` when storage is full or
    away, ``RunRefused`` if the checked rows are damaged, ``ConfigurationError`` if
    ``facts.quality`` names a check that there is not.
    """
    with open_results(store) as results:
        checked = judged(results, facts.quality)
        choice = choose(results, checked)
        counted = figures(results)
        page = _template().render(
            facts=facts,
            figures=counted,
            left=max(0, facts.rows - counted.ended),
            checks=checked.checks,
            missed=[check for check in checked.checks if check.failed or check.warned],
            worst=pairs(store, root, results, choice.worst, facts.limits),
            best=pairs(store, root, results, choice.best, facts.limits),
            verdict_words=VERDICT_WORDS,
            made_at=datetime.now(UTC),
        )
    # What a file name of the user's has that is no text can't be written as such.
    store.put(REPORT, page.encode("utf-8", errors="replace"))


@cache
def _template() -> Template:
    # Everything is escaped, whatever the template is called.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": lambda value: f"{value:,}",
        "moment": _moment,
        "percent": _percent,
        "shortened": shortened,
    }
    environment.globals |= {"duration": duration, "number": number}
    return environment.from_string(
        files("serve_app.bulk.report").joinpath("report.html.jinja").read_text("utf-8")
    )


def number(value: float) -> str:
    """A figure for people, in three digits that count."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _percent(count: int, whole: int) -> str:
    """A share for people; never 0 % or 100 % of what is not none or all."""
    if not whole:
        return "–"
    share = 100 * count / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.3g} %"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
