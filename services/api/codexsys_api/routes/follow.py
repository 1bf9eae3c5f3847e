"""What happens in a task: events and logs."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from codexsys_api.auth import Caller
from codexsys_api.context import Opened
from codexsys_api.routes.params import TaskId, Watched
from codexsys_api.serialize import EventPage, Stream, event_body
from codexsys_api.stream import follow_events, follow_log, read_log, sse
from codexsys_core.event import EventType

router = APIRouter(prefix="/api/v1/tasks/{task_id}", tags=["tasks"])
_EVENT_STREAM = "text/event-stream"
_PAGE = 500


def _streamed(*names: str) -> dict[int | str, dict[str, Any]]:
    """Describe a stream by one of its server-sent events."""
    properties = {
        "id": {"type": "string", "description": "Send the last one as Last-Event-ID to go on."},
        "event": {"type": "string", "enum": names},
        "data": {"type": "string", "contentMediaType": "application/json"},
    }
    schema = {"type": "object", "properties": properties, "required": ["data"]}
    return {200: {"content": {_EVENT_STREAM: {"schema": schema}}}}


@router.get(
    "/events",
    operation_id="followEvents",
    response_model=EventPage,
    responses=_streamed(*EventType, "done"),
)
async def events(
    task_id: TaskId,
    caller: Caller,
    platform: Opened,
    tails: Watched,
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Follow a task's events (SSE); with `after` or `Accept: application/json` one page of them."""
    task = await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    if _EVENT_STREAM in accept or (after is None and "application/json" not in accept):
        return sse(await follow_events(platform, tails, task, _resume(last_event_id, after)))
    found = await platform.events.after(task_id, after or 0, limit=_PAGE)
    last = found[-1].id if found else after or 0
    return JSONResponse({"items": [event_body(event) for event in found], "next": last})


@router.get(
    "/logs",
    operation_id="followLogs",
    response_class=PlainTextResponse,
    responses=_streamed("log", "done"),
)
async def logs(
    task_id: TaskId,
    caller: Caller,
    platform: Opened,
    tails: Watched,
    stream: Stream = "agent",
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Give a log from a byte offset on: plain text so far, or (`Accept: text/event-stream`) as it grows."""
    task = await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    if _EVENT_STREAM in accept:
        at = _resume(last_event_id, after)
        return sse(await follow_log(platform, tails, task, stream, at))
    content = read_log(platform, task_id, stream, after or 0)
    return StreamingResponse(
        content, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


def _resume(last_event_id: str, after: int | None) -> int:
    given = last_event_id.strip()
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else after or 0
