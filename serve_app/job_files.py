"""Files on the user's side of a job: what describes it, its images, and its results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from serve_app.client import Client
from serve_app.errors import InvalidRequest

Upload = Callable[[Path], str]

_IMAGE_FIELDS = ("image", "images", "mask")
_NOT_A_PATH = ("data:", "http://", "https://")  # the service says what it takes of these


def read_structure(file: Path) -> Any:
    """What the YAML or JSON in ``file`` says, as JSON has it; raises ``InvalidRequest``."""
    try:
        text = file.read_text(encoding="utf-8")
        read = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
        # YAML knows dates, keys that are no text, and numbers that JSON doesn't have.
        return json.loads(json.dumps(read, default=str, allow_nan=False))
    except OSError as error:
        raise InvalidRequest(f"{file}: The file can't be read.") from error
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise InvalidRequest(f"{file} is no YAML or JSON: {error}") from error


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

    Nothing is uploaded if one of the files is missing. The same file is uploaded once.
    """
    ids: dict[Path, str] = {}
    paths = {name: folder / Path(name).expanduser() for name in _paths(described, folder)}
    for name, path in paths.items():
        if not path.is_file():
            raise InvalidRequest(f"{name}: There is no such image; looked for {path}.")
    for path in paths.values():
        if path not in ids:
            ids[path] = upload(path)
    return _replaced(described, {name: ids[path] for name, path in paths.items()})


def _paths(described: Any, folder: Path) -> Iterator[str]:
    match described:
        case dict():
            for key, value in described.items():
                if key in _IMAGE_FIELDS:
                    for name in value if isinstance(value, list) else [value]:
                        if isinstance(name, str) and _is_path(name, folder):
                            yield name
                else:
                    yield from _paths(value, folder)
        case list():
            for value in described:
                yield from _paths(value, folder)


def _is_path(name: str, folder: Path) -> bool:
    if name.startswith("img-"):
        return (folder / name).is_file()  # cameras name their files so, too
    return not name.lower().startswith(_NOT_A_PATH)


def _replaced(described: Any, ids: dict[str, str], *, here: bool = False) -> Any:
    """``described`` with the names in its image fields replaced; ``here`` is in such a field."""
    match described:
        case dict():
            return {
                key: _replaced(value, ids, here=key in _IMAGE_FIELDS)
                for key, value in described.items()
            }
        case list():
            return [_replaced(value, ids, here=here) for value in described]
        case str() if here:
            return ids.get(described, described)
        case _:
            return described


def make_folder(folder: Path) -> None:
    """Make ``folder`` where there is none; raises ``InvalidRequest`` if it can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(f"{folder}: The folder can't be made: {error.strerror}.") from error


def save_results(client: Client, job: dict[str, Any], folder: Path) -> list[Path]:
    """Write the image of each step that has one, and of a chain the one at its end."""
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
