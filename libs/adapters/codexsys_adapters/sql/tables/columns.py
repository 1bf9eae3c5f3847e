"""The kinds of columns, each the same on both dialects, and the tables made of them."""

import inspect
from typing import Any

from sqlalchemy import CHAR, BigInteger, Column, DateTime, Integer, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlmodel import SQLModel


def identifier(*, key: bool = False, null: bool = False, index: bool = False) -> Any:
    """Return a column for an id."""
    kind = CHAR(32).with_variant(
        mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )
    return Column(kind, primary_key=key, nullable=null, index=index)


def ascii_words(
    length: int, *, null: bool = False, key: bool = False, given: str | None = None
) -> Any:
    """Return a column for a word of the platform's own; `given` where a writer knows none."""
    kind = String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )
    return Column(kind, primary_key=key, nullable=null, server_default=given)


def words(length: int, *, null: bool = False) -> Any:
    """Return a column for a short text of a user."""
    return Column(String(length), nullable=null)


def long_text(*, null: bool = False) -> Any:
    """Return a column for a text of any length."""
    return Column(Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=null)


def moment(*, null: bool = False) -> Any:
    """Return a column for a time in UTC."""
    return Column(DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"), nullable=null)


def integer(*, null: bool = False) -> Any:
    """Return a column for a small number."""
    return Column(Integer(), nullable=null)


def big_integer(*, null: bool = False) -> Any:
    """Return a column for a number that grows."""
    return Column(BigInteger(), nullable=null)


def table_of(row: type[SQLModel]) -> Table:
    """Return the table of a row, as statements name it; what `schema.sql` says about it goes along."""
    table = SQLModel.metadata.tables[str(row.__tablename__)]
    table.info["about"] = inspect.getdoc(row)
    # Texts are compared byte by byte on every server, as SQLite does it.
    table.dialect_kwargs.update(
        mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
    )
    return table
