"""`qwen-edit jobs`: durable jobs of any service, from the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_app.asking import asking
from serve_app.terminal import DEFAULT_URL, AsJson, IdempotencyKey, Label, Url, Watch

jobs = typer.Typer(
    name="jobs",
    help="Durable jobs: many edits, or chains of edits, that outlive restarts.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

JobId = Annotated[str, typer.Argument(help="Id of the job: `job-…`.", metavar="ID")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder for the images at the end: step-1.png, … and result.png; variants by name; "
        "brand sets by platform and size; contact_sheet.png and manifest.json beside them.",
        file_okay=False,
    ),
]


@jobs.command()
def submit(
    file: Annotated[Path, typer.Argument(help="YAML or JSON that describes the job.")],
    watch: Watch = False,
    output: Output = None,
    label: Label = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Hand in a job; prints its id.

    Images are paths, relative to FILE, or ids. They are uploaded first. A chain:

    \b
        kind: chain
        image: photo.png
        steps:
          - prompt: make the sky pink
          - prompt: change the sign to 'OPEN'
            edit_type: text
        on_failure: stop        # or skip, keep_best

    Many edits:

    \b
        kind: edit
        matrix:
          images:
            - a.png
            - b.png
          prompts:
            - make it night
            - make it snow

    or `items:` with an `image` and a `prompt` each, or one `image` and `prompt`. Parameters of
    edits (`seed`, `size`, `quality`, …) stand beside the prompt. Variants to test:

    \b
        kind: variants
        image: tea.png
        variants:
          calm: {prompt: make it a watercolor}
          loud: {prompt: make it a comic}
        success_metric: clicks

    A brand set, in every format of the service or those under `targets:`

    \b
        kind: brand_set
        image: shoe.png
        brand:
          colors: ['#0A84FF', white]
          style: clean and bright
          logo: logo.png
        variations:
          - make it summer
          - {name: winter, prompt: make it winter, caption: Winter sale}

    With --watch it exits with 0 if the job succeeds and 1 if it doesn't. It exits with 2 if the
    job isn't accepted.
    """
    from serve_app import job_actions

    with asking(url) as client:
        job_actions.submit(
            client,
            file,
            label=label,
            idempotency_key=idempotency_key,
            as_json=as_json,
            watched=watch or output is not None,
            output=output,
        )


@jobs.command("list")
def list_(
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="edit, chain, variants or brand_set.")] = None,
    label: Annotated[str | None, typer.Option(help="Only jobs of this label.")] = None,
    user: Annotated[str | None, typer.Option(help="Only jobs of this user.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    everything: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List jobs, the newest first.

    \b
        qwen-edit jobs list --state failed --label night-shots
        qwen-edit jobs list --all --json | jq -r '.data[].id'
    """
    from serve_app import job_actions

    filters = {"state": state, "kind": kind, "label": label, "user": user}
    with asking(url) as client:
        job_actions.show_list(client, filters, most=None if everything else limit, as_json=as_json)


@jobs.command()
def show(job_id: JobId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show a job and its steps, as they are now."""
    from serve_app import job_actions

    with asking(url) as client:
        job_actions.show(client, job_id, as_json=as_json)


@jobs.command()
def watch(job_id: JobId, output: Output = None, url: Url = DEFAULT_URL) -> None:
    """Show how far a job is, to its end; also one that has ended.

    Goes on where it was if the connection breaks or the service restarts. Ctrl-C stops the
    watching, not the job. Exits with 0 if the job succeeded, with 1 if it failed or was
    cancelled.

    \b
        qwen-edit jobs watch job-0192… -o results/
    """
    from serve_app import job_actions

    with asking(url) as client:
        job_actions.watch(client, job_id, output)


@jobs.command()
def cancel(job_id: JobId, url: Url = DEFAULT_URL) -> None:
    """End a job; what runs stops at its next denoising step, results so far stay."""
    with asking(url) as client:
        typer.echo(f"{job_id} is {client.cancel(job_id)['state']}.")


@jobs.command()
def retry(job_id: JobId, url: Url = DEFAULT_URL) -> None:
    """Run a failed or cancelled job again, from the step that failed.

    A step whose result was rejected gets another seed; steps that succeeded stay as they are.
    """
    with asking(url) as client:
        typer.echo(f"{job_id} is {client.retry(job_id)['state']}.")


@jobs.command()
def fork(
    job_id: JobId,
    from_step: Annotated[
        int, typer.Option(help="The first step to run, counted from 1 as in `show`.", min=1)
    ],
    file: Annotated[
        Path | None,
        typer.Argument(help="YAML or JSON: a list of steps to run instead, from there on."),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Begin a new job with the first steps of another one; prints its id.

    The steps before --from-step are taken over with their results. The others run again, or
    those in FILE in their place:

    \b
        - prompt: make the sky green instead
        - prompt: change the sign to 'CLOSED'

    \b
        qwen-edit jobs fork job-0192… --from-step 2 other-steps.yaml
    """
    from serve_app import job_actions

    with asking(url) as client:
        job_actions.fork(client, job_id, from_step, file, as_json=as_json)


@jobs.command()
def delete(job_id: JobId, url: Url = DEFAULT_URL) -> None:
    """Erase a job with its images, unless another job uses them; ends it first if it runs."""
    with asking(url) as client:
        client.delete(job_id)
        typer.echo(f"{job_id} is erased.")
