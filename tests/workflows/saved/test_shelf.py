"""Workflows on the shelf: versions that count up and stay, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.errors import NotFound, WrongState
from serve_app.workflows.jobs.database import Database, database_url
from serve_app.workflows.saved.document import WorkflowDocument
from serve_app.workflows.saved.parameter import Parameter, ParameterType
from serve_app.workflows.saved.shelf import Shelf
from serve_app.workflows.saved.tables import NUMBERS


def document(prompt: str = "x", description: str | None = None) -> WorkflowDocument:
    parameters = {"image": Parameter(ParameterType.IMAGE), "n": Parameter(ParameterType.INTEGER)}
    return WorkflowDocument({"prompt": prompt, "image": "${image}"}, parameters, description)


@pytest.fixture
async def shelf(database: str | None, tmp_path: Path) -> AsyncIterator[Shelf]:
    opened = Database(database_url(database, tmp_path))
    yield Shelf(opened, 50)
    opened.close()


async def test_versions_count_up_and_stay(shelf: Shelf) -> None:
    before = time.time()
    first, new = await shelf.put("w", document("one"))
    assert (first.version, new) == (1, True)
    assert before <= first.created_at <= time.time()
    assert await shelf.put("w", document("one")) == (first, False)
    second, new = await shelf.put("w", document("two"))
    assert (second.version, new) == (2, True)
    third, new = await shelf.put("w", document("one"))
    assert (third.version, new) == (3, True)
    assert await shelf.get("w") == third
    assert await shelf.get("w", 1) == first
    assert (await shelf.get("w", 2)).document == document("two")


async def test_the_list_has_the_latest_of_each(shelf: Shelf) -> None:
    assert await shelf.overviews() == []
    await shelf.put("b", document("one", "The old one."))
    newest, _ = await shelf.put("b", document("two", "The new one."))
    await shelf.put("a", document())
    listed = await shelf.overviews()
    assert [(it.name, it.versions, it.description) for it in listed] == [
        ("a", (1,), None),
        ("b", (1, 2), "The new one."),
    ]
    assert listed[1].created_at == newest.created_at


async def test_erasing_takes_all_versions(shelf: Shelf) -> None:
    await shelf.put("w", document("one"))
    await shelf.put("w", document("two"))
    await shelf.put("other", document())
    await shelf.erase("w")
    assert [it.name for it in await shelf.overviews()] == ["other"]
    for version in (None, 1):
        with pytest.raises(NotFound) as caught:
            await shelf.get("w", version)
        assert caught.value.param == "name"
    with pytest.raises(NotFound):
        await shelf.erase("w")


async def test_numbers_never_come_again(shelf: Shelf) -> None:
    """Whoever runs version 2 by its number must not get another workflow one day."""
    for prompt in ("one", "two"):
        await shelf.put("w", document(prompt))
    await shelf.put("other", document())
    await shelf.erase("w")
    assert (await shelf.put("w", document("two")))[0].version == 3
    await shelf.erase("w")
    put = await asyncio.gather(*(shelf.put("w", document(f"number {i}")) for i in range(5)))
    assert sorted(stored.version for stored, _ in put) == [4, 5, 6, 7, 8]
    with pytest.raises(NotFound) as caught:
        await shelf.get("w", 2)
    assert caught.value.param == "version"
    assert (await shelf.put("other", document("two")))[0].version == 2


async def test_numbers_survive_a_restart(database: str | None, tmp_path: Path) -> None:
    for version in (1, 2):
        opened = Database(database_url(database, tmp_path))
        shelf = Shelf(opened, 50)
        assert (await shelf.put("w", document()))[0].version == version
        await shelf.erase("w")
        opened.close()


async def test_a_database_from_before_numbers_were_kept(
    database: str | None, tmp_path: Path
) -> None:
    opened = Database(database_url(database, tmp_path))
    shelf = Shelf(opened, 50)
    for prompt in ("one", "two"):
        await shelf.put("w", document(prompt))
    await opened.transact(lambda connection: connection.execute(sa.delete(NUMBERS)))
    assert (await shelf.put("w", document("three")))[0].version == 3
    await shelf.erase("w")
    assert (await shelf.put("w", document("four")))[0].version == 4
    opened.close()


async def test_putting_and_erasing_at_once(shelf: Shelf) -> None:
    async def put_and_erase(i: int) -> int:
        stored, _ = await shelf.put("w", document(f"number {i}"))
        if i % 3 == 0:
            with suppress(NotFound):
                await shelf.erase("w")
        return stored.version

    versions = await asyncio.gather(*(put_and_erase(i) for i in range(12)))
    assert sorted(versions) == list(range(1, 13))


async def test_an_unknown_version_is_told_from_an_unknown_name(shelf: Shelf) -> None:
    await shelf.put("w", document())
    with pytest.raises(NotFound) as caught:
        await shelf.get("w", 2)
    assert caught.value.param == "version"


async def test_twenty_at_once_get_different_versions(shelf: Shelf) -> None:
    put = await asyncio.gather(*(shelf.put("w", document(f"number {i}")) for i in range(20)))
    assert sorted(stored.version for stored, _ in put) == list(range(1, 21))
    assert all(new for _, new in put)
    for stored, _ in put:
        assert await shelf.get("w", stored.version) == stored


async def test_twenty_twins_at_once_are_one_version(shelf: Shelf) -> None:
    put = await asyncio.gather(*(shelf.put("w", document()) for _ in range(20)))
    assert {stored.version for stored, _ in put} == {1}
    assert sum(new for _, new in put) == 1


async def test_the_shelf_is_finite(database: str | None, tmp_path: Path) -> None:
    opened = Database(database_url(database, tmp_path))
    shelf = Shelf(opened, 2)
    await shelf.put("a", document("one"))
    await shelf.put("b", document("one"))
    for name in ("a", "c"):
        with pytest.raises(WrongState, match=r"2 versions of workflows .* all of its versions"):
            await shelf.put(name, document("two"))
    assert not (await shelf.put("b", document("one")))[1]
    await shelf.erase("b")
    assert (await shelf.put("a", document("two")))[0].version == 2
    opened.close()
