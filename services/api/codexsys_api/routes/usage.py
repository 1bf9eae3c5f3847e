"""What the caller's tenant has used, by day and by label."""

import re
from datetime import MAXYEAR, MINYEAR, UTC, date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller
from codexsys_api.context import Opened
from codexsys_api.routes.cursor import wrong_query
from codexsys_core.usage import (
    MOST_DAYS,
    MOST_VALUES,
    DayUsage,
    TasksUsage,
    UsageQuery,
    ValueUsage,
)
from codexsys_core.wallet import TenantDay
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1/usage", tags=["platform"])
DAYS = 30
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LABEL = re.compile(r"([A-Za-z0-9._/-]{1,63})(?:=(.{0,63}))?", re.DOTALL)
UsageLabel = Annotated[
    str | None,
    Query(
        description="A label's name divides by its values; `name=value`: only tasks with this label.",
        json_schema_extra={
            "anyOf": [
                {"type": "string", "pattern": r"^[A-Za-z0-9._/-]{1,63}(=[^\n]{0,63})?$"},
                {"type": "null"},
            ]
        },
    ),
]


def _day(name: str, said: str) -> object:
    schema = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
    return Query(alias=name, description=said, json_schema_extra=schema)


First = Annotated[str | None, _day("from", f"The first day; else {DAYS} days are told.")]
Last = Annotated[str | None, _day("to", "The last day; else today, in UTC.")]


class UsageBody(BaseModel):
    """What tasks used that were made on these days; `total` is the sum of `days`.

    `today` is what calls came to that were made today, whatever their task's day, and how much that may be.
    """

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    label: str | None
    total: TasksUsage
    days: list[DayUsage]
    values: list[ValueUsage] = Field(
        description=f"Of the label that was named, at most {MOST_VALUES}, the dearest first; null: without it."
    )
    more: bool
    """Whether there are values beside these."""
    today: TenantDay


@router.get("", operation_id="getUsage", response_model=UsageBody)
async def usage(
    caller: Caller,
    platform: Opened,
    first: First = None,
    last: Last = None,
    label: UsageLabel = None,
) -> Response:
    """Sum up tokens, calls, money and tasks by day (in UTC), and by the values of a label.

    A task counts with all that it uses on the day on which it was made; a range has 92 days at most.
    """
    end = day_of("to", last) or platform.clock.now().astimezone(UTC).date()
    start = day_of("from", first) or _earlier(end, DAYS - 1)
    query = range_of(caller.tenant_id, start, end, label)
    body = await usage_body(platform, query, label)
    return JSONResponse(body.model_dump(mode="json", by_alias=True))


async def usage_body(platform: Platform, query: UsageQuery, label: str | None) -> UsageBody:
    """Return the usage of the REST API."""
    report = await platform.usage.report(query)
    return UsageBody(
        first=query.first,
        last=query.last,
        label=label,
        total=report.total,
        days=report.days,
        values=report.values,
        more=report.more,
        today=await platform.wallet.today(query.tenant_id),
    )


def range_of(tenant_id: str, first: date, last: date, label: str | None) -> UsageQuery:
    """Return a query of some days, or say what is wrong about it."""
    if first > last:
        raise wrong_query("from", "The first day is after the last one.")
    if (last - first).days >= MOST_DAYS:
        raise wrong_query("from", f"A range has {MOST_DAYS} days at most.")
    found = _LABEL.fullmatch(label) if label is not None else None
    if label is not None and found is None:
        raise wrong_query("label", "Give a label as name or as name=value.")
    named = (found[1], found[2]) if found else None
    return UsageQuery(tenant_id=tenant_id, first=first, last=last, label=named)


def day_of(name: str, text: str | None) -> date | None:
    """Return a day as it is written in a query."""
    if text is None:
        return None
    try:
        # The calendar's own ends are left out: a day before and after must be days, too.
        if _DAY.fullmatch(text) and MINYEAR < int(text[:4]) < MAXYEAR:
            return date.fromisoformat(text)
    except ValueError:
        pass  # no such day
    raise wrong_query(name, "Give a day such as 2026-11-28.")


def _earlier(day: date, days: int) -> date:
    return day - timedelta(days=days)
