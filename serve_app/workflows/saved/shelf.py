"""All saved workflows by name: each change is one transaction, and versions never change.

Nor does the number of a version come again after a workflow is erased: whoever runs a version by
its number gets what was saved under it, or nothing.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from serve_app.errors import NotFound, WrongState
from serve_app.workflows.jobs.database import Database
from serve_app.workflows.saved.document import WorkflowDocument
from serve_app.workflows.saved.stored import StoredWorkflow, WorkflowOverview
from serve_app.workflows.saved.tables import NUMBERS, TABLES, WORKFLOWS

_TRIES = 30


class Shelf:
    """Workflows in the jobs' database, at most ``most_versions`` of all names together.

    All methods raise ``NotReady`` where the database does not answer.
    """

    def __init__(self, database: Database, most_versions: int) -> None:
        self._database = database
        self._most = most_versions
        database.create(TABLES)

    async def put(self, name: str, document: WorkflowDocument) -> tuple[StoredWorkflow, bool]:
        """Store the next version, and say whether it is new: the latest may say the same.

        Raises ``WrongState`` where too many are stored.
        """

        def work(connection: sa.Connection) -> tuple[StoredWorkflow, bool]:
            # First, and locked: nobody else can store a version of this name meanwhile.
            number = connection.execute(_number(name)).scalar_one_or_none()
            latest = connection.execute(_versions(name).limit(1)).mappings().first()
            if latest is not None and latest["digest"] == document.digest:
                return _stored(latest), False
            if connection.execute(_count()).scalar_one() >= self._most:
                raise WrongState(
                    f"{self._most} versions of workflows are stored, and this would be one more: "
                    "erase a workflow that is not used, which frees all of its versions."
                )
            # A database from before numbers were kept has none of what it holds.
            highest = max(number or 0, 0 if latest is None else latest["version"])
            new = StoredWorkflow(name, 1 + highest, time.time(), document)
            connection.execute(_numbered(name, new.version, first=number is None))
            connection.execute(sa.insert(WORKFLOWS).values(_row(new)))
            return new, True

        for _ in range(_TRIES):
            try:
                return await self._database.transact(work)
            except IntegrityError:
                continue  # Another one was faster: it has the number, and perhaps the content.
        raise WrongState("This workflow is stored by others all the time. Try again.")

    async def get(self, name: str, version: int | None = None) -> StoredWorkflow:
        """A workflow, by default its latest version; raises ``NotFound``."""
        wanted = _versions(name).limit(1)
        if version is not None:
            wanted = wanted.where(WORKFLOWS.c.version == version)
        row = await self._database.read(lambda c: c.execute(wanted).mappings().first())
        if row is not None:
            return _stored(row)
        if version is not None:
            await self.get(name)  # or the name is what is wrong
            raise NotFound("The workflow has no such version.", "version")
        raise NotFound("There is no workflow of this name.", "name")

    async def overviews(self) -> list[WorkflowOverview]:
        """All workflows, in the order of their names."""
        table = WORKFLOWS.c
        wanted = sa.select(
            table.name,
            table.version,
            table.created_at,
            table.document["description"].as_string().label("description"),
        ).order_by(table.name, table.version)

        def work(connection: sa.Connection) -> list[WorkflowOverview]:
            found: dict[str, WorkflowOverview] = {}
            for name, version, created_at, description in connection.execute(wanted):
                earlier = found[name].versions if name in found else ()
                found[name] = WorkflowOverview(name, created_at, description, (*earlier, version))
            return list(found.values())

        return await self._database.read(work)

    async def erase(self, name: str) -> None:
        """Erase all versions of a workflow; raises ``NotFound``.

        Jobs that it began stay, and later versions of the name count on.
        """
        erase = sa.delete(WORKFLOWS).where(WORKFLOWS.c.name == name)
        if not await self._database.transact(lambda c: c.execute(erase).rowcount):
            raise NotFound("There is no workflow of this name.", "name")


def _versions(name: str) -> sa.Select[Any]:
    """The versions of a workflow, the latest first."""
    table = WORKFLOWS
    return sa.select(table).where(table.c.name == name).order_by(table.c.version.desc())


def _number(name: str) -> sa.Select[Any]:
    """The highest version that ``name`` ever had; others wait who ask to change it, too."""
    return sa.select(NUMBERS.c.latest).where(NUMBERS.c.name == name).with_for_update()


def _numbered(name: str, version: int, *, first: bool) -> sa.Insert | sa.Update:
    """Note that ``name`` has this ``version``; two who note the ``first`` one conflict."""
    if first:
        return sa.insert(NUMBERS).values(name=name, latest=version)
    return sa.update(NUMBERS).where(NUMBERS.c.name == name).values(latest=version)


def _count() -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(WORKFLOWS)


def _row(workflow: StoredWorkflow) -> dict[str, Any]:
    return {
        "name": workflow.name,
        "version": workflow.version,
        "created_at": workflow.created_at,
        "document": workflow.document.to_json(),
        "digest": workflow.document.digest,
    }


def _stored(row: sa.RowMapping) -> StoredWorkflow:
    document = WorkflowDocument.from_json(row["document"])
    return StoredWorkflow(row["name"], row["version"], row["created_at"], document)
