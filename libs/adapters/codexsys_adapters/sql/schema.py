"""The whole schema as MySQL's DDL: `python -m codexsys_adapters.sql.schema > schema.sql`."""

import sys

from sqlalchemy import Index
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement
from sqlmodel import SQLModel

import codexsys_adapters.sql.tables  # noqa: F401 - they take their place as they are imported

_HEAD = """\
-- The tables of codexsys, for MySQL 8.4 and MariaDB 10.11 or newer.
-- Made from the code; do not edit. `codexsys db upgrade` makes the same, and keeps it up to date.
"""


def schema() -> str:
    """Return the statements that make an empty database the platform's."""
    dialect = mysql.dialect()
    parts = [_HEAD]
    for table in sorted(SQLModel.metadata.tables.values(), key=lambda table: table.name):
        if "about" not in table.info:
            continue
        statements: list[DDLElement] = [CreateTable(table)]
        statements += [CreateIndex(index) for index in sorted(table.indexes, key=_name)]
        texts = [str(statement.compile(dialect=dialect)).strip() for statement in statements]
        lines = [line.rstrip() for text in texts for line in f"{text};".splitlines()]
        parts.append("\n".join([f"-- {table.info['about']}", *lines, ""]))
    return "\n".join(parts)


def _name(index: Index) -> str:
    return str(index.name)


if __name__ == "__main__":
    sys.stdout.write(schema())
