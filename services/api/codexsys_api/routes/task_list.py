"""The page with a tenant's tasks: its filters are its address, and it is looked at again while open."""

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response

from codexsys_api.context import Address, Opened
from codexsys_api.routes.browser import Signed, html
from codexsys_api.routes.cursor import before
from codexsys_api.routes.filters import MOST_WORDS, labelled
from codexsys_api.routes.tasks import page
from codexsys_api.showing import etag
from codexsys_core.errors import Invalid
from codexsys_core.moves import TaskStatus
from codexsys_core.principal import Principal
from codexsys_core.task import TaskQuery
from codexsys_core.verdict import Verdict
from codexsys_wiring.platform import Platform

router = APIRouter(include_in_schema=False)
COUNTED = 1000
_NEWER = 100


@router.get("/tasks")
async def tasks(
    visitor: Signed,
    platform: Opened,
    base: Address,
    status: str = "",
    verdict: str = "",
    label: str = "",
    source_url: str = "",
    q: str = "",
    cursor: str = "",
    through: str = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """List tasks; with `through`, those that the list had when it began, and how many came since."""
    filters = {"status": status, "verdict": verdict, "label": label, "source_url": source_url}
    filters |= {"q": q.strip()[:MOST_WORDS]}
    query, errors = _query_of(visitor.principal, filters)
    query = query.model_copy(update={"before": before(cursor or None, "task")})
    began = before(through or None, "task")
    shown = query.model_copy(update={"through": began})
    found, more = ([], None) if errors else await page(platform, shown, base)
    counts = await platform.tasks.counts(tenant_id=query.tenant_id, most=COUNTED)
    content = visitor.pages.tasks(
        [each.model_dump(mode="json") for each in found],
        more,
        filters | {"cursor": cursor},
        visitor.context,
        through=through,
        counts={each.value: count for each, count in counts.items()},
        newer=await _newer(platform, query, began) if began and not errors else 0,
        errors=errors,
    )
    tag = etag(content.encode())
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    answer = html(content, 422 if errors else 200)
    answer.headers["ETag"] = tag
    return answer


def _query_of(principal: Principal, filters: dict[str, str]) -> tuple[TaskQuery, dict[str, str]]:
    """Return a query, and what is wrong by filter; a status or verdict that is none is no filter."""
    errors: dict[str, str] = {}
    label = None
    try:
        label = labelled(filters["label"] or None)
    except Invalid as error:
        errors["label"] = error.message
    status, verdict = filters["status"], filters["verdict"]
    query = TaskQuery(
        tenant_id=principal.tenant_id,
        status=TaskStatus(status) if status in set(TaskStatus) else None,
        verdict=Verdict(verdict) if verdict in set(Verdict) else None,
        label=label,
        source_url=filters["source_url"] or None,
        words=filters["q"] or None,
    )
    return query, errors


async def _newer(platform: Platform, query: TaskQuery, began: str) -> int:
    """Count what came since, as far as a person wants to know."""
    since = query.model_copy(update={"after": began, "limit": _NEWER})
    return len(await platform.tasks.find(since))
