"""What `qwen-edit workflow` does, once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.table import Table
from rich.text import Text

from serve_app import job_actions
from serve_app.client import Client
from serve_app.errors import InvalidRequest, MissingField
from serve_app.job_files import make_folder, with_uploads
from serve_app.terminal import PLAIN, console, notes, print_json
from serve_app.workflow_files import (
    check_workflow,
    read_settings,
    read_workflow,
    with_full_paths,
    with_uploaded_images,
)
from serve_app.workflows.saved.document import WorkflowDocument

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be run: ``what`` is a file or the name of a saved workflow.

    ``settings`` are texts like `name=value`; ``fields`` are those of the job itself.
    """

    what: str
    settings: Sequence[str]
    version: int | None
    fields: dict[str, Any]
    idempotency_key: str | None


def run(client: Client, wanted: Run, *, as_json: bool, watched: bool, output: Path | None) -> None:
    """Hand in the job that a workflow makes, and go on as ``job_actions.handed_in``.

    Raises ``InvalidRequest`` for a file or a setting that can't be used; nothing is sent then.
    """
    if output is not None:
        make_folder(output)
    file = Path(wanted.what).expanduser()
    if file.is_file():
        job = _run_file(client, wanted, file)
    elif file.suffix in _SUFFIXES or len(file.parts) > 1:
        raise InvalidRequest(f"{wanted.what}: There is no such file.")
    else:
        job = _run_saved(client, wanted)
    job_actions.handed_in(client, job, as_json=as_json, watched=watched, output=output)


def _run_file(client: Client, wanted: Run, file: Path) -> dict[str, Any]:
    if wanted.version is not None:
        raise InvalidRequest("--version is for saved workflows: a file has none.", "version")
    _, document = read_workflow(file)
    values = read_settings(wanted.settings, document.parameters)
    job = _filled(document, with_full_paths(values, document)) | wanted.fields
    return client.submit(with_uploads(job, file.parent, client.upload), wanted.idempotency_key)


def _run_saved(client: Client, wanted: Run) -> dict[str, Any]:
    saved = client.workflow(wanted.what, wanted.version)
    document = WorkflowDocument.from_json(saved)
    values = read_settings(wanted.settings, document.parameters)
    _filled(document, values)  # what is missing is known before anything is uploaded
    ready = with_uploaded_images(values, document, client)
    # The version that was looked at: another one may take other parameters.
    body = {"parameters": ready, "version": saved["version"]} | wanted.fields
    return client.run_workflow(wanted.what, body, wanted.idempotency_key)


def _filled(document: WorkflowDocument, values: dict[str, Any]) -> dict[str, Any]:
    try:
        return document.filled(values)
    except MissingField as error:
        name = str(error.param).rpartition(".")[2]
        raise MissingField(f"`{name}` is required: add --set {name}=…", error.param) from error


def save(client: Client, file: Path, name: str | None, *, as_json: bool) -> None:
    """Save the workflow in ``file`` under ``name``, or the name in the file."""
    own_name, document = read_workflow(file)
    name = name or own_name
    if name is None:
        raise MissingField(f"{file} has no `name`: add one, or --name NAME.", "name")
    saved = client.put_workflow(name, document.to_json())
    if as_json:
        print_json(saved)
    else:
        console.print(f"{saved['name']} version {saved['version']}", **PLAIN)


def check(file: Path) -> None:
    """Say whether the workflow in ``file`` is sound; raises ``InvalidRequest`` if it isn't."""
    name, document = check_workflow(file)
    console.print(f"{name or file.stem} is sound.", **PLAIN)
    _print_parameters(document)


def show_list(client: Client, *, as_json: bool) -> None:
    """Print the saved workflows."""
    listed = client.workflows()
    if as_json:
        console.print_json(data=listed)
        return
    if not listed["data"]:
        notes.print("No workflows are saved.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("version", justify="right")
    table.add_column("description", overflow="fold")
    for workflow in listed["data"]:
        described = Text(workflow["description"] or "")
        table.add_row(Text(workflow["name"]), str(workflow["version"]), described)
    console.print(table)


def show(client: Client, name: str, version: int | None, *, as_json: bool) -> None:
    """Print a saved workflow as YAML, which `save` and `run` take as a file, or as JSON."""
    saved = client.workflow(name, version)
    if as_json:
        print_json(saved)
        return
    notes.print(f"version {saved['version']}, of {saved['created_at']}", **PLAIN)
    own = {field: saved[field] for field in ("name", "description", "parameters", "job")}
    text = yaml.safe_dump(
        {field: value for field, value in own.items() if value},
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=None,
    )
    console.print(text, end="", **PLAIN)


def _print_parameters(document: WorkflowDocument) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("parameter", "type", "default", "description"):
        table.add_column(column, overflow="fold")
    for name, parameter in document.parameters.items():
        default = Text("required", "bold") if parameter.required else Text(str(parameter.default))
        table.add_row(name, str(parameter.type), default, Text(parameter.description or ""))
    console.print(table)
