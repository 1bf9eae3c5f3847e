"""Tables, migrations and schema.sql say the same."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, event
from sqlmodel import SQLModel

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.migrations import upgrade
from codexsys_adapters.sql.schema import schema

CHANGES = ("CREATE", "ALTER", "DROP")
SCHEMA_SQL = Path(__file__).parents[3] / "schema.sql"


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(
        compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata)
    )


async def difference(url: str) -> list[Any]:
    async with Database(url) as database, database.read() as connection:
        found = await connection.run_sync(differences)
        # alembic's own table is no part of the schema
        return [each for each in found if getattr(each[1], "name", "") != "alembic_version"]


def test_schema_sql_is_what_the_tables_say() -> None:
    assert SCHEMA_SQL.read_text() == schema(), (
        "run: python -m codexsys_adapters.sql.schema > schema.sql"
    )


async def test_an_upgrade_makes_the_tables(empty_url: str) -> None:
    assert await difference(empty_url)
    await upgrade(empty_url)
    assert await difference(empty_url) == []


async def test_upgrades_at_once_and_again_are_harmless(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(3)))
    await upgrade(empty_url)
    assert await difference(empty_url) == []


class Died(Exception):
    """What a process that is killed would not even say."""


@contextmanager
def dying_after_a_change() -> Iterator[None]:
    """Let nobody change tables twice."""

    def die(*asked: Any) -> None:
        if asked[2].split()[0] in CHANGES:
            raise Died

    event.listen(Engine, "after_cursor_execute", die)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", die)


async def test_an_upgrade_that_dies_after_each_step_goes_on(empty_url: str) -> None:
    deaths = 0
    with dying_after_a_change():
        while True:
            try:
                await upgrade(empty_url)
                break
            except Died:
                deaths += 1
                if empty_url.startswith("sqlite:"):  # all of it, or nothing
                    break
    await upgrade(empty_url)
    assert await difference(empty_url) == []
    assert deaths > 50 or empty_url.startswith("sqlite:")


async def test_the_whole_schema_at_once_makes_the_tables(empty_url: str) -> None:
    async with Database(empty_url) as database, database.write() as connection:
        if database.dialect == "sqlite":  # schema.sql is for servers alone
            await connection.run_sync(SQLModel.metadata.create_all)
        else:
            for statement in SCHEMA_SQL.read_text().rstrip(";\n").split(";\n"):
                await connection.exec_driver_sql(statement)
    assert await difference(empty_url) == []
