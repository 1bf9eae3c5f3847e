"""What pages follow while they are open: a task's events, and its logs, with a session or with a share link."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from codexsys_api.context import Opened
from codexsys_api.routes.browser import Signed
from codexsys_api.routes.log_text import pieces
from codexsys_api.routes.params import TaskId, Watched
from codexsys_api.routes.shares import (
    followed_while_it_works,
    share_of_token,
    while_it_works,
)
from codexsys_api.serialize import Stream
from codexsys_api.stream import follow_events, follow_log, sse
from codexsys_core.errors import NotFound
from codexsys_core.log import FILES
from codexsys_core.task import Task

router = APIRouter(include_in_schema=False)
After = Annotated[int, Query(ge=0, lt=2**63)]
Accept = Annotated[str, Header()]


@router.get("/tasks/{task_id}/events")
async def events(
    task_id: TaskId,
    visitor: Signed,
    platform: Opened,
    tails: Watched,
    after: After = 0,
    last_event_id: Accept = "",
) -> Response:
    """Say when something happens in a task."""
    task = await platform.tasks.get(task_id, tenant_id=visitor.principal.tenant_id)
    return sse(await follow_events(platform, tails, task, _resume(last_event_id, after)))


@router.get("/tasks/{task_id}/log")
async def log(
    task_id: TaskId,
    visitor: Signed,
    platform: Opened,
    tails: Watched,
    stream: Stream = "agent",
    after: After = 0,
    accept: Accept = "",
    last_event_id: Accept = "",
) -> Response:
    """Give a log: as it grows to a script, else as a file."""
    task = await platform.tasks.get(task_id, tenant_id=visitor.principal.tenant_id)
    if "text/event-stream" in accept:
        at = _resume(last_event_id, after)
        return sse(await follow_log(platform, tails, task, stream, at))
    return _file(task, stream, pieces(platform, task, stream, after))


@router.get("/s/{token}/log")
async def shared_log(
    request: Request,
    token: str,
    platform: Opened,
    tails: Watched,
    stream: Stream = "agent",
    after: After = 0,
    accept: Accept = "",
    last_event_id: Accept = "",
) -> Response:
    """Give a log to whoever has a link that shows it."""
    link = await share_of_token(request, platform, token)
    if "logs" not in link.parts:
        raise NotFound("This link does not show that.", code="not_found")
    task = await platform.tasks.get(link.task_id, tenant_id=link.tenant_id)
    if "text/event-stream" in accept:
        at = _resume(last_event_id, after)
        told = await follow_log(platform, tails, task, stream, at)
        return sse(followed_while_it_works(platform, link, told))
    return _file(
        task, stream, while_it_works(platform, link, pieces(platform, task, stream, after))
    )


def _file(task: Task, stream: str, content: AsyncIterator[bytes]) -> Response:
    name = FILES[stream]
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{task.id}-{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(content, media_type="text/plain; charset=utf-8", headers=headers)


def _resume(last_event_id: str, after: int) -> int:
    given = last_event_id.strip()
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else after
