"""Database time as expressions, and times between rows (naive UTC) and nouns (aware)."""

from datetime import UTC, datetime
from typing import Any, overload

from sqlalchemy import DateTime, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement


class now_sql(FunctionElement[datetime]):  # noqa: N801 - reads as a function in statements
    """The database's clock, in UTC, with microseconds."""

    type = DateTime()
    name = "now_sql"
    inherit_cache = True


class after_sql(FunctionElement[datetime]):  # noqa: N801 - reads as a function in statements
    """The database's clock plus some seconds (which may be negative, or a column)."""

    type = DateTime()
    name = "after_sql"
    inherit_cache = True

    def __init__(self, seconds: Any) -> None:
        super().__init__(seconds if hasattr(seconds, "compile") else literal(float(seconds), Float))


@compiles(now_sql)
def _now_mysql(_element: now_sql, _compiler: SQLCompiler, **_: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(now_sql, "sqlite")
def _now_sqlite(_element: now_sql, _compiler: SQLCompiler, **_: Any) -> str:
    # Six digits as bound times have, so that texts compare as times do.
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(after_sql)
def _after_mysql(element: after_sql, compiler: SQLCompiler, **keywords: Any) -> str:
    seconds = compiler.process(element.clauses, **keywords)
    return f"(UTC_TIMESTAMP(6) + INTERVAL ROUND(({seconds}) * 1000000) MICROSECOND)"


@compiles(after_sql, "sqlite")
def _after_sqlite(element: after_sql, compiler: SQLCompiler, **keywords: Any) -> str:
    seconds = compiler.process(element.clauses, **keywords)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', ({seconds}) || ' seconds') || '000')"


def naive(moment: datetime) -> datetime:
    """Return a time as rows hold it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


@overload
def aware(moment: datetime) -> datetime: ...
@overload
def aware(moment: None) -> None: ...
def aware(moment: datetime | None) -> datetime | None:
    """Return a row's time as nouns hold it."""
    return None if moment is None else moment.replace(tzinfo=UTC)
