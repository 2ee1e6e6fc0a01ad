"""Files on the user's side of a job: what describes it, its images, and its results."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from serve_app.api.body import parse_json, unique
from serve_app.client import Client
from serve_app.errors import InvalidRequest

Upload = Callable[[Path], str]

TRANSPARENT_FIELDS = ("mask", "logo")
"""The fields that name images whose transparency counts."""

_IMAGE_FIELDS = ("image", "images", *TRANSPARENT_FIELDS)
_NOT_A_PATH = ("data:", "http://", "https://")  # the service says what it takes of these


def read_structure(file: Path) -> Any:
    """What the YAML or JSON in ``file`` says, as JSON has it.

    Raises ``InvalidRequest`` if it can't be read, or if a key comes twice in one mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
        read = parse_json(text) if file.suffix == ".json" else parse_yaml(text)
        # YAML knows dates, keys that are no text, and numbers that JSON doesn't have. What were
        # two keys there may be one in JSON.
        return parse_json(json.dumps(read, default=str, allow_nan=False))
    except OSError as error:
        raise InvalidRequest(f"{file}: The file can't be read.") from error
    except InvalidRequest as error:
        raise InvalidRequest(f"{file}: `{error.param}` is given twice.", error.param) from None
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        why = f": {error}" if str(error) else ""
        raise InvalidRequest(f"{file} is no YAML or JSON{why}") from error


def parse_yaml(text: str) -> Any:
    """``text`` as YAML of plain data.

    Raises ``yaml.YAMLError``, ``ValueError`` or ``RecursionError`` if it is none, and
    ``InvalidRequest`` about a key that comes twice in one mapping, as ``api.body.parse_json`` does.
    """
    loader = _UniqueKeys(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _UniqueKeys(yaml.SafeLoader):
    """Refuses what PyYAML takes: a key that comes twice, of which it would drop the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here, and not where values are made: merged mappings may repeat keys, to overrule them.
        node = super().compose_mapping_node(anchor)
        unique((key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        return node


def read_specification(file: Path) -> dict[str, Any]:
    """The job that ``file`` describes, images still as they are named there."""
    match read_structure(file):
        case dict() as specification:
            return specification
        case _:
            raise InvalidRequest(
                f"{file}: A job is a mapping, such as `kind: edit`, `image: …`, `prompt: …`."
            )


def read_steps(file: Path) -> list[Any]:
    """The list of steps in ``file``: by itself, or under ``steps``."""
    match read_structure(file):
        case list() as steps if steps:
            return steps
        case {"steps": list() as steps} if steps:
            return steps
        case _:
            raise InvalidRequest(f"{file}: Here goes a list of steps, each with a `prompt`.")


def with_uploads(described: Any, folder: Path, upload: Upload) -> Any:
    """``described`` with ids in place of paths, which are relative to ``folder``.

    Masks and logos become data URLs: as files of the service they would lose their transparency.
    Nothing is uploaded if one of the files is missing. The same file is uploaded once.
    """
    paths: dict[tuple[str, str], Path] = {}
    for field, name in _named(described):
        if is_path(name, folder):
            path = folder / Path(name).expanduser()
            if not path.is_file():
                raise InvalidRequest(f"{name}: There is no such image; looked for {path}.")
            paths[field, name] = path
    ids: dict[Path, str] = {}
    for (field, _), path in paths.items():
        if field not in TRANSPARENT_FIELDS and path not in ids:
            ids[path] = upload(path)

    def replaced(field: str, name: str) -> str:
        path = paths.get((field, name))
        if path is None:
            return name
        return _data_url(path) if field in TRANSPARENT_FIELDS else ids[path]

    return _replaced(described, replaced)


def _named(described: Any) -> Iterator[tuple[str, str]]:
    """The fields that name images, each with a name."""
    match described:
        case dict():
            for field, value in described.items():
                if field in _IMAGE_FIELDS:
                    names = value if isinstance(value, list) else [value]
                    yield from ((field, name) for name in names if isinstance(name, str))
                else:
                    yield from _named(value)
        case list():
            for value in described:
                yield from _named(value)


def is_path(name: str, folder: Path) -> bool:
    """Whether ``name`` is that of a file, in ``folder`` or elsewhere, and no id or URL."""
    if name.startswith("img-"):
        return (folder / name).is_file()  # cameras name their files so, too
    return not name.lower().startswith(_NOT_A_PATH)


def _replaced(described: Any, by: Callable[[str, str], str], field: str | None = None) -> Any:
    """``described``, in the image field ``field`` if any, its names replaced ``by`` both."""
    match described:
        case dict():
            return {
                name: _replaced(value, by, name if name in _IMAGE_FIELDS else None)
                for name, value in described.items()
            }
        case list():
            return [_replaced(value, by, field) for value in described]
        case str() if field is not None:
            return by(field, described)
        case _:
            return described


def _data_url(path: Path) -> str:
    media_type = mimetypes.guess_type(path.name)[0] or "image/png"  # the contents decide
    try:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InvalidRequest(f"{path}: The file can't be read.") from error
    return f"data:{media_type};base64,{data}"


def make_folder(folder: Path) -> None:
    """Make ``folder`` where there is none; raises ``InvalidRequest`` if it can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(f"{folder}: The folder can't be made: {error.strerror}.") from error


def save_results(client: Client, job: dict[str, Any], folder: Path) -> list[Path]:
    """Write what came of a job: its archive, unpacked, or else the image of each step."""
    return (_unpacked if job.get("outputs") else _images)(client, job, folder)


def _unpacked(client: Client, job: dict[str, Any], folder: Path) -> list[Path]:
    try:
        with TemporaryFile() as spool:
            for chunk in client.archive(job["id"]):
                spool.write(chunk)
            with ZipFile(spool) as archive:
                # zipfile takes what would lead out of the folder from the names.
                return [Path(archive.extract(name, folder)) for name in archive.namelist()]
    except (OSError, BadZipFile) as error:
        raise InvalidRequest(
            f"{folder}: The images can't be written: {error}. The service keeps them: "
            f"{client.base_url}/v1/jobs/{job['id']}/archive"
        ) from error


def _images(client: Client, job: dict[str, Any], folder: Path) -> list[Path]:
    named = {
        f"step-{step['index'] + 1}.png": step["result"] for step in job["steps"] if step["result"]
    }
    if job["kind"] == "chain" and job["result"]:
        named["result.png"] = job["result"]
    pngs: dict[str, bytes] = {}
    for name, result in named.items():
        if result not in pngs:
            pngs = {result: client.image(result)}  # the last one only: they may be many
        try:
            (folder / name).write_bytes(pngs[result])
        except OSError as error:
            raise InvalidRequest(
                f"{folder / name}: The image can't be written: {error.strerror}. The service "
                f"keeps it: {client.base_url}/v1/results/{result}"
            ) from error
    return [folder / name for name in named]
