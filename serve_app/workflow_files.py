"""Workflows on the user's side: the file that describes one, and what is set for a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.api.body import parse_json
from serve_app.api.workflow_parsing import check_job, check_name, parse_document
from serve_app.client import Client
from serve_app.config import BrandConfig, JobsConfig, LimitsConfig, ModelConfig
from serve_app.errors import EditServiceError, InvalidRequest, UnknownField
from serve_app.job_files import TRANSPARENT_FIELDS, is_path, read_structure, with_uploads
from serve_app.workflows.saved.document import WorkflowDocument
from serve_app.workflows.saved.parameter import Parameter, ParameterType

_WORDS = {"true": True, "yes": True, "false": False, "no": False}


def read_workflow(file: Path) -> tuple[str | None, WorkflowDocument]:
    """The name in ``file``, if it has one, and the workflow; raises ``InvalidRequest``."""
    described = read_structure(file)
    if not isinstance(described, dict):
        raise InvalidRequest(
            f"{file}: A workflow is a mapping with `parameters:` and a `job:` that uses them."
        )
    name = described.pop("name", None)
    with _of(file):
        if name is not None:
            check_name(name if isinstance(name, str) else "")
        return name, parse_document(described, LimitsConfig())


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a service takes of a job."""

    limits: LimitsConfig
    jobs_config: JobsConfig
    brand_config: BrandConfig
    max_images: int


def check_workflow(file: Path) -> tuple[str | None, WorkflowDocument]:
    """``read_workflow`` that also checks the job, with defaults and examples as values.

    Raises ``InvalidRequest`` where a service of the default settings would, and for images that
    are not there.
    """
    name, document = read_workflow(file)
    example = Parameter(ParameterType.IMAGE).example
    job = with_uploads(document.example(), file.parent, lambda _: example)
    defaults = _Bounds(LimitsConfig(), JobsConfig(), BrandConfig(), ModelConfig().max_images)
    with _of(file):
        check_job(job, defaults)
    return name, document


def read_settings(settings: Sequence[str], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values that ``--set name=value`` gives, each of its parameter's type.

    Raises ``InvalidRequest`` for what is no setting, is set twice, or is not of the type, and
    ``UnknownField`` for what is no parameter.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise InvalidRequest(f"--set {setting}: Write it as name=value.", name)
        if name in values:
            raise InvalidRequest(f"--set {setting}: `{name}` is set twice.", name)
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise UnknownField(
                f"--set {setting}: The workflow has no such parameter; it has: {known}.", name
            )
        value = _typed(text, parameters[name].type)
        try:
            parameters[name].check(value, f"parameters.{name}")
        except InvalidRequest as error:
            raise InvalidRequest(f"--set {setting}: {error.message}", error.param) from error
        values[name] = value
    return values


def with_full_paths(values: Mapping[str, Any], document: WorkflowDocument) -> dict[str, Any]:
    """``values`` with whole paths of images, which are relative to the working directory."""
    return {
        name: str(Path.cwd() / Path(value).expanduser())
        if document.parameters[name].type is ParameterType.IMAGE and is_path(value, Path.cwd())
        else value
        for name, value in values.items()
    }


def with_uploaded_images(
    values: Mapping[str, Any], document: WorkflowDocument, client: Client
) -> dict[str, Any]:
    """``values`` with ids in place of the paths of images; masks and logos go as they are.

    Nothing is uploaded if one of the files is missing.
    """
    images = [name for name in values if document.parameters[name].type is ParameterType.IMAGE]
    fields = [{_image_field(document.job, name): values[name]} for name in images]
    ready = with_uploads(fields, Path.cwd(), client.upload)
    ids = (next(iter(field.values())) for field in ready)
    return {**values, **dict(zip(images, ids, strict=True))}


def _typed(text: str, kind: ParameterType) -> Any:
    """What ``text`` says in a parameter of this ``kind``; ``text`` itself if that is nothing."""
    match kind:
        case ParameterType.STRING | ParameterType.IMAGE | ParameterType.COLOR:
            return text
        case ParameterType.BOOLEAN:
            return _WORDS.get(text.lower(), text)
        case ParameterType.BOX:
            text = f"[{text.strip().removeprefix('[').removesuffix(']')}]"
    with suppress(ValueError):
        return parse_json(text)
    return text


@contextmanager
def _of(file: Path) -> Iterator[None]:
    """Say in which file the field is that is complained about."""
    try:
        yield
    except EditServiceError as error:
        where = "" if error.param is None else f" (`{error.param}`)"
        raise type(error)(f"{file}: {error.message}{where}", error.param) from error


def _image_field(job: Any, name: str) -> str:
    """The field that takes the image ``name`` with its transparency, or `image`."""
    taking = _fields_with(job, f"${{{name}}}")
    return next((field for field in taking if field in TRANSPARENT_FIELDS), "image")


def _fields_with(described: Any, text: str) -> Iterator[str]:
    """The names of all fields below ``described`` that say ``text``."""
    match described:
        case dict():
            for name, value in described.items():
                if value == text:
                    yield name
                yield from _fields_with(value, text)
        case list():
            for value in described:
                yield from _fields_with(value, text)
