"""Pages of lists: a cursor names the last thing of the page before."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Query, Request
from starlette.responses import JSONResponse, Response

from codexsys_core.errors import FieldError, Invalid

_FORM = r"^[0-9a-z]{26}$"
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Cursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before.",
        json_schema_extra={"anyOf": [{"type": "string", "pattern": _FORM}, {"type": "null"}]},
    ),
]


class _Numbered(Protocol):
    @property
    def id(self) -> str: ...


Numbered = TypeVar("Numbered", bound=_Numbered)


def cursor_after(last_id: str) -> str:
    """Return the cursor of the page after this id: what of it is not the same in the whole list."""
    return last_id.rpartition("_")[2]


def before(cursor: str | None, prefix: str) -> str | None:
    """Return the id in a cursor of a list whose ids begin so."""
    if cursor is None:
        return None
    if not re.fullmatch(_FORM, cursor):
        raise wrong_query("cursor", "This cursor is not one of ours; start without it.")
    return f"{prefix}_{cursor}"


def cut(found: Sequence[Numbered], limit: int) -> tuple[Sequence[Numbered], str | None]:
    """Return a page of which one more than its limit was read, and the cursor of the next."""
    more = cursor_after(found[limit - 1].id) if len(found) > limit else None
    return found[:limit], more


def following(
    items: Sequence[Numbered], cursor: str | None, limit: int
) -> tuple[Sequence[Numbered], str | None]:
    """Return a page of a list that is there as a whole, and the cursor of the next."""
    ends, last = [cursor_after(each.id) for each in items], cursor_after(before(cursor, "x") or "")
    # One that is no longer there stands where it stood: ids grow with time.
    start = ends.index(last) + 1 if last in ends else sum(end < last for end in ends)
    page = items[start : start + limit]
    return page, ends[start + limit - 1] if len(items) > start + limit else None


def next_link(request: Request, more: str | None) -> dict[str, str]:
    """Return the header that leads to the next page, if there is one."""
    if more is None:
        return {}
    url = request.url.include_query_params(cursor=more).replace(scheme="", netloc="")
    return {"Link": f'<{url}>; rel="next"'}


def listed(request: Request, items: Sequence[dict[str, Any]], more: str | None) -> Response:
    """Answer with a page of a list."""
    body = {"items": items, "next_cursor": more}
    return JSONResponse(body, headers=next_link(request, more))


def wrong_query(name: str, detail: str) -> Invalid:
    """Return the error of a query parameter."""
    return Invalid(detail, fields=[FieldError(f"/{name}", detail)])
