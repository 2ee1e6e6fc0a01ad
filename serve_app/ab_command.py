"""`qwen-edit ab`: statistics of A/B tests, computed here or kept with a job by a service."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serve_app.errors import InvalidRequest
from serve_app.terminal import DEFAULT_URL, PLAIN, AsJson, Url, console, print_json, told_plainly

if TYPE_CHECKING:
    from serve_app.api.ab_parsing import ParsedAbTest

ab = typer.Typer(
    name="ab",
    help="A/B tests: which variant is better, and whether that can be said yet.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_WIDE = 200
"""Columns of a pipe or a file; names have 64 at most."""

_STYLES = {
    "srm_failed": "bold red",
    "insufficient_data": "bold yellow",
    "no_difference_detected": "bold",
    "leading": "bold yellow",
    "winner": "bold green",
}


@ab.callback()
def _commands() -> None:
    """Keep the command named, though it is the only one."""


@ab.command()
def analyze(
    file: Annotated[
        Path,
        typer.Argument(help="YAML or JSON of the test, or CSV of its counts.", dir_okay=False),
    ],
    control: Annotated[
        str | None, typer.Option(help="The variant that the others are compared with.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="clicks, engagements or conversions (the default).")
    ] = None,
    minimum_effect: Annotated[
        float | None,
        typer.Option(help="Smallest lift worth finding, relative: 0.2 is from 5 % to 6 %."),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            help="Let the service analyse, and keep it with this job of variants, whose "
            "success_metric is the metric."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Where to write the picture; NAME.analysis.png beside FILE by default."),
    ] = None,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Write none.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Analyse an A/B test: is there a winner?

    Needs no service, unless the analysis is to be kept with a job. FILE has the counts of each
    variant; leave out those you don't have:

    \b
        control: blue
        metric: clicks
        variants:
          blue: {impressions: 10000, clicks: 500, users: 8200}
          green: {impressions: 10050, clicks: 601, users: 8240}

    or, as CSV, with --control:

    \b
        variant,impressions,clicks
        blue,10000,500
        green,10050,601

    Options come before what FILE says. Only pictures of analyses are overwritten. Exits with 0
    whatever the verdict is, 2 for a file that can't be used.

    Each analysis kept with a job once there is enough data is a look at the test: the p values
    hold for the first look only, and later ones say so. Decide when to look before the test.
    """
    given = {
        "control": control,
        "metric": metric,
        "minimum_effect": minimum_effect,
        "job": job,
        "picture": not no_picture,
    }
    target = None if no_picture else picture or file.with_suffix(".analysis.png")
    with told_plainly():
        body, parsed = _read(file, {k: one for k, one in given.items() if one is not None})
        if target is not None:
            _check(target)  # before the service keeps an analysis
        answer = _analysed(body, parsed, url)
        drawn = answer.pop("picture", None)
        if target is not None and drawn is not None:
            _write(target, base64.b64decode(drawn["b64_json"]))
            answer["picture"] = str(target)
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def _read(file: Path, given: dict[str, Any]) -> tuple[dict[str, Any], ParsedAbTest]:
    """The body of a request with what is ``given`` instead of what ``file`` says, and its test."""
    from serve_app.ab_files import read_ab_test
    from serve_app.api.ab_parsing import parse_ab_test
    from serve_app.config import LimitsConfig

    try:
        body = read_ab_test(file) | given
        return body, parse_ab_test(body, LimitsConfig())
    except InvalidRequest as error:
        named = error.param is None or f"`{error.param}`" in error.message
        where = "" if named else f" (`{error.param}`)"
        raise InvalidRequest(f"{file}: {error.message}{where}", error.param) from error


def _analysed(body: dict[str, Any], parsed: ParsedAbTest, url: str) -> dict[str, Any]:
    """The answer of the route, from here or, if a job is named, from the service at ``url``."""
    from serve_app.client import Client
    from serve_app.workflows.ab_tests.analysis import analyse
    from serve_app.workflows.ab_tests.picture import drawn

    if parsed.job is not None:
        with Client(url) as client:
            return client.analyse(body)
    analysis = analyse(parsed.test)
    answer = parsed.answer(analysis)
    if parsed.picture:
        answer["picture"] = {"b64_json": base64.b64encode(drawn(analysis)).decode("ascii")}
    return answer


def _check(target: Path) -> None:
    """Refuse a target that can't be written, or has anything but an earlier picture."""
    from serve_app.workflows.ab_tests.picture import is_analysis

    try:
        there = target.exists()
        ours = there and is_analysis(target)
        # Without a name, so that nothing is left of it.
        with TemporaryFile(dir=target.parent):
            pass
        writable = os.access(target if there else target.parent, os.W_OK)
    except OSError as error:
        raise _unwritable(target) from error
    if there and not ours:
        raise InvalidRequest(
            f"{target} is no picture of an analysis, so it is kept: give another name with "
            "--picture.",
            "picture",
        )
    if not writable:
        raise _unwritable(target)


def _write(target: Path, png: bytes) -> None:
    try:
        target.write_bytes(png)
    except OSError as error:
        raise _unwritable(target) from error


def _unwritable(target: Path) -> InvalidRequest:
    return InvalidRequest(f"{target}: The picture can't be written there.", "picture")


def _print(answer: dict[str, Any]) -> None:
    """A row for each variant, the verdict, the recommendation, what limits it."""
    verdict = answer["verdict"]
    # Nobody reads a pipe's width: there nothing is folded or cut.
    shown = console if console.is_terminal else Console(file=console.file, width=_WIDE)
    shown.print(_table(answer))
    shown.print(Text(verdict.replace("_", " "), _STYLES.get(verdict, "bold")))
    shown.print(Text(answer["recommendation"]))
    for caveat in answer["caveats"]:
        shown.print(Text(f"• {caveat}", "dim"))
    if "picture" in answer:
        console.print(f"Picture: {answer['picture']}", **PLAIN)


def _table(answer: dict[str, Any]) -> Table:
    from serve_app.workflows.ab_tests.wording import chance, percent, points, probability, rate

    confidence = percent(1 - answer["significance"])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("variant", overflow="fold")
    for heading in (
        *(f"{answer['metric']} of {answer['unit']}", "rate", f"{confidence} interval"),
        *("P(best)", "loss", "difference", "p"),
    ):
        table.add_column(heading, justify="right")
    compared = {one["variant"]: one for one in answer["comparisons"]}
    for name, found in answer["rates"].items():
        low, high = found["interval"]
        one = compared.get(name)
        against = "control" if name == answer["control"] else ""
        believed, lost = (answer[figure].get(name) for figure in ("p_best", "expected_loss"))
        table.add_row(
            Text(name, "bold" if name == answer["winner"] else ""),
            f"{found['successes']:,} of {found['trials']:,}",
            rate(found["rate"]),
            f"{rate(low)} to {rate(high)}",
            "" if believed is None else chance(believed),
            "" if lost is None else rate(lost) if lost >= 1e-5 else "< 0.001%",
            against if one is None else points(one["difference"]),
            "" if one is None else probability(one["p_corrected"]).removeprefix("= "),
        )
    return table
