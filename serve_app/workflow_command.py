"""`qwen-edit workflow`: jobs with parameters, from files or saved by a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_app.asking import asking
from serve_app.terminal import DEFAULT_URL, AsJson, IdempotencyKey, Label, Url, Watch, told_plainly

workflow = typer.Typer(
    name="workflow",
    help="Workflows: jobs with parameters, run again and again.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

File = Annotated[
    Path, typer.Argument(help="YAML or JSON that describes the workflow.", dir_okay=False)
]
Name = Annotated[str, typer.Argument(help="Name of a saved workflow.", metavar="NAME")]
Version = Annotated[
    int | None, typer.Option(help="Version of the saved workflow; the latest by default.", min=1)
]


@workflow.command()
def run(
    what: Annotated[
        str, typer.Argument(help="A file, or the name of a saved workflow.", metavar="FILE|NAME")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Value of a parameter; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    version: Version = None,
    watch: Watch = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the images at the end.", file_okay=False),
    ] = None,
    label: Label = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Run a workflow as a job; prints the job's id.

    \b
        qwen-edit workflow run configs/workflows/night_scene.yaml --set image=street.jpg -o night/
        qwen-edit workflow run night-scene --set image=street.jpg --set light=neon --watch

    Images are paths, relative to the working directory, or ids. They are uploaded first. Paths
    that FILE itself names are relative to FILE. A box is --set box=10,20,110,90.

    With --watch it exits with 0 if the job succeeds and 1 if it doesn't. It exits with 2 if the
    job isn't accepted.
    """
    from serve_app import workflow_actions

    fields = {} if label is None else {"label": label}
    wanted = workflow_actions.Run(what, settings or (), version, fields, idempotency_key)
    with asking(url) as client:
        workflow_actions.run(
            client,
            wanted,
            as_json=as_json,
            watched=watch or output is not None,
            output=output,
        )


@workflow.command()
def save(
    file: File,
    name: Annotated[str | None, typer.Option(help="Save it under this name.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Save the next version of a workflow; prints its name and version.

    Nothing is saved if the latest version says the same. Images that FILE names must be ids:
    make others parameters.

    \b
        qwen-edit workflow save configs/workflows/night_scene.yaml
    """
    from serve_app import workflow_actions

    with asking(url) as client:
        workflow_actions.save(client, file, name, as_json=as_json)


@workflow.command()
def check(file: File) -> None:
    """Check a file without a service: its parameters, and the job with their defaults.

    A service that is set otherwise may still refuse it.
    """
    from serve_app import workflow_actions

    with told_plainly():
        workflow_actions.check(file)


@workflow.command("list")
def list_(as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List the saved workflows."""
    from serve_app import workflow_actions

    with asking(url) as client:
        workflow_actions.show_list(client, as_json=as_json)


@workflow.command()
def show(
    name: Name, version: Version = None, as_json: AsJson = False, url: Url = DEFAULT_URL
) -> None:
    """Show a saved workflow as YAML, which can be edited and saved again."""
    from serve_app import workflow_actions

    with asking(url) as client:
        workflow_actions.show(client, name, version, as_json=as_json)


@workflow.command()
def delete(name: Name, url: Url = DEFAULT_URL) -> None:
    """Erase all versions of a saved workflow; jobs that it began stay."""
    with asking(url) as client:
        client.delete_workflow(name)
        typer.echo(f"{name} is erased.")
