"""Notes to a task's agent while it works."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller, Writer
from codexsys_api.bodies import SendMessage, read_json
from codexsys_api.context import Opened
from codexsys_api.described.refusals import refuses
from codexsys_api.idempotency import promised
from codexsys_api.routes.cursor import Cursor, Limit, following, listed
from codexsys_api.routes.params import ONCE, IdempotencyKey, TaskId, takes
from codexsys_api.serialize import MessageBody, MessageList, message_body
from codexsys_core.idempotency import Idempotency
from codexsys_core.message import Message
from codexsys_core.principal import Principal
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1/tasks/{task_id}/messages", tags=["tasks"])


@router.post(
    "",
    operation_id="sendMessage",
    status_code=202,
    response_model=MessageBody,
    openapi_extra=takes(SendMessage)
    | refuses("task_over", "messages_not_read", "messages_full", *ONCE),
)
async def send(
    request: Request,
    task_id: TaskId,
    caller: Writer,
    platform: Opened,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Tell the agent something; it reads it before its next step, and `delivered_at` says when it did.

    A task that waits or is queued keeps it until its agent works again. One that ends before that never
    delivers it.
    """
    body = await read_json(request, SendMessage)
    promise = promised(idempotency_key, body, platform.secrets, about=(task_id,))
    stored = await told(platform, caller, task_id, body, promise)
    return JSONResponse(message_body(stored), status_code=202)


async def told(
    platform: Platform,
    principal: Principal,
    task_id: str,
    body: SendMessage,
    promise: Idempotency | None = None,
) -> Message:
    """Store a message, and wake those who watch the task."""
    message = Message(
        id=platform.ids.new("msg"),
        task_id=task_id,
        text=body.text,
        created_by=principal.key_id,
        created_at=platform.clock.now(),
    )
    tenant_id = principal.tenant_id
    stored = await platform.messages.add(message, tenant_id=tenant_id, idempotency=promise)
    await platform.hints.tell(f"task:{task_id}")
    return stored


@router.get("", operation_id="listMessages", response_model=MessageList)
async def find(
    request: Request,
    task_id: TaskId,
    caller: Caller,
    platform: Opened,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List what was told to a task's agents, in order."""
    await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    found, more = following(await platform.messages.of_task(task_id), cursor, limit)
    return listed(request, [message_body(each) for each in found], more)
