"""Steps of a migration on MySQL, each of which may be done again.

MySQL commits after each step, so an upgrade that is killed leaves a migration half done: the next
one does what is missing. Each step is atomic in MySQL 8 and in MariaDB 10.6.
"""

from typing import Any

from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import Column, Connection, Index, Table, inspect
from sqlalchemy.engine.reflection import Inspector
from typing_extensions import override


class RepeatableMySQL(MySQLImpl):
    """Replaces alembic's own for this dialect: whoever defines it last is taken."""

    __dialect__ = "mysql"

    @override
    def create_table(self, table: Table, **options: Any) -> None:
        """Make it, or of its indexes those that are missing."""
        if not self._now().has_table(table.name):
            super().create_table(table, **options)
            return
        for index in table.indexes:
            self.create_index(index)

    @override
    def drop_table(self, table: Table, **options: Any) -> None:
        """Drop it if it is there."""
        if self._now().has_table(table.name):
            super().drop_table(table, **options)

    @override
    def create_index(self, index: Index, **options: Any) -> None:
        """Make it unless it is there."""
        if not self._has_index(index):
            super().create_index(index, **options)

    @override
    def drop_index(self, index: Index, **options: Any) -> None:
        """Drop it if it is there."""
        if self._has_index(index):
            super().drop_index(index, **options)

    @override
    def add_column(self, table_name: str, column: Column[Any], **options: Any) -> None:
        """Add it unless it is there."""
        if not self._has_column(table_name, column):
            super().add_column(table_name, column, **options)

    @override
    def drop_column(self, table_name: str, column: Column[Any], **options: Any) -> None:
        """Drop it if it is there."""
        if self._has_column(table_name, column):
            super().drop_column(table_name, column, **options)

    def _has_index(self, index: Index) -> bool:
        if index.table is None:
            raise ValueError(f"{index.name} names no table.")
        return any(each["name"] == index.name for each in self._now().get_indexes(index.table.name))

    def _has_column(self, table_name: str, column: Column[Any]) -> bool:
        return any(each["name"] == column.name for each in self._now().get_columns(table_name))

    def _now(self) -> Inspector:
        """Look anew: an inspector remembers what it saw."""
        if not isinstance(self.connection, Connection):
            raise TypeError("Migrations are run on a database, not written to a file.")
        return inspect(self.connection)
