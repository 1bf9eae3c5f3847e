"""Filters of the list of tasks, each with one form and a sentence for every other."""

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from codexsys_api.routes.cursor import wrong_query
from codexsys_core.task import SEARCHED

_LABEL = re.compile(r"([A-Za-z0-9._/-]{1,63})=(.{0,63})", re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
Label = Annotated[
    str | None,
    Query(
        description="`name=value`: only those with this label.",
        json_schema_extra={
            "anyOf": [
                {"type": "string", "pattern": r"^[A-Za-z0-9._/-]{1,63}=[^\n]{0,63}$"},
                {"type": "null"},
            ]
        },
    ),
]
MOST_WORDS = 200
Words = Annotated[
    str | None,
    Query(
        max_length=MOST_WORDS,
        description=f"Only those of your newest {SEARCHED:,} tasks whose prompt, source URL or id has this text, in capitals or not.",
    ),
]
CreatedAfter = Annotated[
    str | None,
    Query(
        description="Only those made later, such as `2026-11-28T09:30:00Z`.",
        json_schema_extra={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
    ),
]


def labelled(text: str | None) -> tuple[str, str] | None:
    """Return the (name, value) of a filter by label."""
    if text is None:
        return None
    found = _LABEL.fullmatch(text)
    if found is None:
        raise wrong_query("label", "Give a label as name=value.")
    return found[1], found[2]


def words(text: str | None) -> str | None:
    """Return what is searched for; nothing but space is no search."""
    return (text or "").strip() or None


def moment(text: str | None) -> datetime | None:
    """Return a time in UTC; one without its offset from UTC could mean any."""
    if text is None:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # no such day, or none that the calendar here has
    raise wrong_query("created_after", "Give a time as in RFC 3339, such as 2026-11-28T09:30:00Z.")
