"""The tables that saved workflows are kept in, beside the jobs'."""

from __future__ import annotations

import sqlalchemy as sa

TABLES = sa.MetaData()

WORKFLOWS = sa.Table(
    "workflows",
    TABLES,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
)

NUMBERS = sa.Table(
    "workflow_numbers",
    TABLES,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("latest", sa.Integer, nullable=False),
)
"""The highest version that each name ever had: it stays when the workflow is erased."""
