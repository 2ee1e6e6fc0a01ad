"""The command line: `qwen-edit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from serve_app.ab_command import ab
from serve_app.asking import asking
from serve_app.bulk_command import bulk
from serve_app.edits.request import EditType, Quality
from serve_app.edits.text_targets import TextTargets
from serve_app.errors import EditServiceError
from serve_app.jobs_command import jobs
from serve_app.terminal import DEFAULT_URL, AsJson, Url, console, told_plainly
from serve_app.workflow_command import workflow

app = typer.Typer(
    name="qwen-edit",
    help="Batched, validated image editing with Qwen-Image-Edit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(jobs)
app.add_typer(ab)
app.add_typer(workflow)
app.add_typer(bulk)


@app.callback()
def _commands() -> None:
    """Keep the commands named, even while there are few."""


@app.command()
def demo(
    config: Annotated[Path, typer.Argument(help="A Serve configuration.", dir_okay=False)] = Path(
        "configs/local.yaml"
    ),
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the edits instead of serving on.")
    ] = False,
    port: Annotated[int, typer.Option(help="HTTP port.", min=1, max=65535)] = 8000,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the log.")] = Path("demo"),
) -> None:
    """Start the service, edit three samples over HTTP, and show what came out."""
    from serve_app.demo import run_demo

    with told_plainly():
        run_demo(console, config, once=once, port=port, out=out)


@app.command()
def edit(
    image: Annotated[Path, typer.Argument(help="The image to edit.")],
    prompt: Annotated[str, typer.Argument(help="What to change.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the result: .png, .jpg, .webp.")
    ],
    further: Annotated[
        list[Path] | None, typer.Option("--image", help="A further input image; repeatable.")
    ] = None,
    edit_type: Annotated[
        EditType | None, typer.Option(help="Kind of edit; by the prompt if left out.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="A whole number, or `random`.")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.", min=1)] = None,
    cfg_scale: Annotated[float | None, typer.Option(help="Guidance, 1 to 20.")] = None,
    size: Annotated[
        str | None, typer.Option(help="`auto` (the input's), `native` or WIDTHxHEIGHT.")
    ] = None,
    quality: Annotated[Quality | None, typer.Option(help="How much it may cost.")] = None,
    max_attempts: Annotated[int | None, typer.Option(help="1 to 4.", min=1, max=4)] = None,
    expected_text: Annotated[
        str | None, typer.Option(help="Words to read in the result; else those quoted.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Mask file: transparent, or white, may change.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Edit an image by a running service, and write the result.

    \b
        qwen-edit edit shop.png "change the sign to 'OPEN'" -o open.png
        qwen-edit edit room.jpg "put the lamp on the table" --image lamp.jpg -o room.webp
        qwen-edit edit photo.png "make it night" -o night.png --url http://gpu-box:8000

    Exits with 0 if the edit passes (also unverified), 1 if it fails its checks (the image is
    written anyway), 2 if there is no image.
    """
    from serve_app.edit_command import Edit, run_edit

    fields: dict[str, str | int | float | None] = {
        "prompt": prompt,
        "edit_type": edit_type,
        "seed": seed,
        "num_inference_steps": steps,
        "true_cfg_scale": cfg_scale,
        "size": size,
        "quality": quality,
        "max_attempts": max_attempts,
        "expected_text": expected_text,
    }
    with asking(url) as client:
        wanted = Edit((image, *(further or ())), output, fields, mask)
        run_edit(client, wanted, as_json=as_json)


@app.command()
def validate(
    original: Annotated[Path, typer.Argument(help="The image before the edit.")],
    edited: Annotated[Path, typer.Argument(help="The image after it, made by any tool.")],
    edit_type: Annotated[
        EditType | None, typer.Option(help="Kind of edit; by the prompt if left out.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="The instruction, if it is known.")] = "",
    mask: Annotated[
        Path | None, typer.Option(help="Mask file: transparent, or white, was to change.")
    ] = None,
    expected_text: Annotated[
        str | None, typer.Option(help="Words to read in the result; else those quoted.")
    ] = None,
    old_text: Annotated[str | None, typer.Option(help="Words that should be gone.")] = None,
    picture: Annotated[
        Path, typer.Option(help="Where to write the annotated picture, a PNG.")
    ] = Path("validated.png"),
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Write none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Take limits and checks from this Serve configuration.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Judge an edit: did it change what it should, and only that?

    The picture shows both, where they differ, and what is wrong there. Exits with 0 if the edit
    passes (also unverified), 1 if it fails, 2 if a file can't be used.
    """
    from serve_app.validate_command import Validation, run_validate

    text = TextTargets(expected_text, old_text)
    validation = Validation(original, edited, edit_type, prompt, mask, text)
    with told_plainly():
        report = run_validate(
            console,
            validation,
            None if no_picture else picture,
            as_json=as_json,
            config=config,
        )
    if report.verdict == "fail":
        raise typer.Exit(1)


@app.command("check-config")
def check_config(
    files: Annotated[
        list[Path], typer.Argument(help="Serve configurations to check.", dir_okay=False)
    ],
) -> None:
    """Check configurations: unknown keys, wrong values, Serve's part and ours."""
    from serve_app.serve_config import check

    failed = False
    for file in files:
        try:
            check(file)
        except (EditServiceError, ValidationError, OSError) as error:
            failed = True
            console.print(f"[red]✗[/red] {file}")
            console.print(str(error), style="red", markup=False)
        else:
            console.print(f"[green]✓[/green] {file}")
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()
