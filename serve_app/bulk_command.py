"""`qwen-edit bulk`: a manifest of edits, run to its end."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.config import ServiceConfig
from serve_app.errors import InvalidRequest, NotReady, PartFailed, UnusableManifest
from serve_app.terminal import INTERRUPTED, PLAIN, console, notes, told_plainly

if TYPE_CHECKING:
    from serve_app.bulk.desk import MaxErrors
    from serve_app.bulk.preparing import Order

SOME_FAILED = 1
TOO_MANY_ERRORS = 3
TROUBLE = 4

bulk = typer.Typer(
    name="bulk", help="Edit whole folders and tables of images.", no_args_is_help=True
)


@bulk.callback()
def _commands() -> None:
    """Keep the command named, even while it is the only one."""


@bulk.command()
def run(
    manifest: Annotated[
        str,
        typer.Argument(
            help="A .parquet, .jsonl or .csv file, or a folder of images; a path or a URL (s3://…)."
        ),
    ],
    out: Annotated[str, typer.Argument(help="Folder for everything that comes out, or a URL.")],
    config: Annotated[
        Path,
        typer.Option(help="Model, planning, checks and the `bulk` section.", dir_okay=False),
    ] = Path("configs/bulk.yaml"),
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="For a folder: what to change in every image; repeatable."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="For a folder: a file of prompts, one a line.", dir_okay=False),
    ] = None,
    input_root: Annotated[
        str | None,
        typer.Option(help="Where images must lie; by default the manifest's own folder."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, count and estimate; run nothing.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(help="Run so many rows at most, and stop.", min=1)
    ] = None,
    skip_invalid: Annotated[
        bool,
        typer.Option("--skip-invalid", help="Run the good rows of a manifest with others."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run the failed rows again, only those.")
    ] = False,
    max_errors: Annotated[
        str | None,
        typer.Option(
            help="Stop after so many failed rows (20), or, from 100 rows on, if more than that "
            "share of those that ended have failed (5%).",
            metavar="N|P%",
        ),
    ] = None,
    failed_rows_ok: Annotated[
        bool,
        typer.Option(
            "--failed-rows-ok",
            help="Exit with 0 if all rows ended, whether they failed or not: for what starts it "
            "again until it does.",
        ),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            help="A running Ray cluster (`auto` on one of its nodes); else Ray is started here.",
            envvar="RAY_ADDRESS",
        ),
    ] = None,
) -> None:
    """Edit every row of a manifest; the same command goes on where it was stopped or killed.

    \b
        qwen-edit bulk run edits.jsonl out/
        qwen-edit bulk run photos/ out/ --prompt "make it night"
        qwen-edit bulk run s3://shop/edits.parquet s3://shop/out --input-root s3://shop/photos

    A row has `image` and `prompt`, and may have `id`, `mask` and every field of an edit
    (`edit_type`, `seed`, `num_inference_steps`, …); other columns are carried through. In OUT are
    the images, `results.parquet` and `report.html`.

    Exits with 0 if all rows succeeded, 1 if some failed or are left, 2 if nothing could be run,
    3 if --max-errors stopped it, 4 if storage, validators or Ray went away, 130 if it was
    interrupted.
    """
    from serve_app.bulk.manifest.source import Source
    from serve_app.bulk.preparing import InvalidRows, Order
    from serve_app.bulk_screen import show_dry_run, show_faults
    from serve_app.serve_config import service_settings

    with told_plainly():
        order = Order(Source(manifest, _prompts(prompt, prompts)), out, input_root, skip_invalid)
        settings = service_settings(config)
        try:
            errors = max_errors_of(max_errors)
            if dry_run:
                code = show_dry_run(
                    console, settings, order, limit=limit, retry_failed=retry_failed
                )
            else:
                code = _run(settings, order, errors, retry_failed, limit, failed_rows_ok, address)
        except InvalidRows as error:
            show_faults(notes, error.faults)
            raise
    if code:
        raise typer.Exit(code)


def _run(
    config: ServiceConfig,
    order: Order,
    max_errors: MaxErrors,
    retry_failed: bool,
    limit: int | None,
    failed_rows_ok: bool,
    address: str | None,
) -> int:
    # Or Ray Data would start another Ray while one is being closed.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    from serve_app.bulk.desk import Stopped
    from serve_app.bulk.run import Wishes, run_bulk
    from serve_app.bulk_progress import bulk_progress
    from serve_app.bulk_screen import show_summary

    command = shlex.join(["qwen-edit", *_to_go_on(sys.argv[1:])])
    wishes = Wishes(command, max_errors, retry_failed, limit, address)
    try:
        with _sigterm_as_ctrl_c(), bulk_progress(notes) as told:
            summary = run_bulk(config, order, wishes, told)
    except KeyboardInterrupt:
        notes.print(f"Stopped. To go on:\n  {command}", **PLAIN)
        return INTERRUPTED
    except (NotReady, PartFailed) as error:
        notes.print(error.message, style="red", **PLAIN)
        notes.print(f"What has ended is kept. To go on:\n  {command}", **PLAIN)
        return TROUBLE
    show_summary(console, summary, order.out, command)
    match summary.stopped:
        case Stopped.INTERRUPTED:
            return INTERRUPTED
        case Stopped.TOO_MANY_ERRORS:
            return TOO_MANY_ERRORS
        case _:
            failed = summary.failed and not failed_rows_ok
            return SOME_FAILED if failed or summary.left else 0


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Both let go of the output; while rows are edited both let those in flight end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def max_errors_of(text: str | None) -> MaxErrors:
    """Read ``N`` or ``P%``; raises ``InvalidRequest``."""
    from serve_app.bulk.desk import MaxErrors

    if text is None:
        return MaxErrors()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return MaxErrors(number=int(text))
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?%", text) and (share := float(text[:-1]) / 100) <= 1:
        return MaxErrors(share=share)
    raise InvalidRequest(
        "--max-errors must be a number of rows (20), or a share of them (5%).", "max_errors"
    )


def _prompts(given: list[str] | None, file: Path | None) -> tuple[str, ...]:
    prompts = list(given or ())
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError):
            raise UnusableManifest(
                f"{file} can't be read as a text file of prompts.", "prompts"
            ) from None
        prompts += [line.strip() for line in lines if line.strip()]
        if not prompts:
            raise UnusableManifest(f"{file} has no prompts.", "prompts")
    return tuple(prompts)


def _to_go_on(arguments: list[str]) -> list[str]:
    """The command that goes on with a run: what was wished for this once is left out."""
    kept, rest = [], iter(arguments)
    for argument in rest:
        if argument == "--limit":
            next(rest, None)
        elif argument != "--retry-failed" and not argument.startswith("--limit="):
            kept.append(argument)
    return kept
