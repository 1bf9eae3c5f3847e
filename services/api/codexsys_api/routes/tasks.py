"""Tasks: make, list, show, cancel, retry, attempts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller, Writer
from codexsys_api.bodies import (
    CreateTask,
    RetryTask,
    media_type,
    read,
    read_json,
)
from codexsys_api.context import Address, Open, Opened
from codexsys_api.described.refusals import SOURCE_REASONS, headers, refuses
from codexsys_api.forms import read_form
from codexsys_api.listening import listening
from codexsys_api.received import Begin, Received, zip_of
from codexsys_api.routes.cursor import (
    Cursor,
    Limit,
    before,
    cut,
    following,
    listed,
    next_link,
)
from codexsys_api.routes.filters import CreatedAfter, Label, Words, labelled, moment, words
from codexsys_api.routes.params import ONCE, IdempotencyKey, TaskId, takes
from codexsys_api.serialize import AttemptList, TaskBody, TaskList, attempt_body, task_body
from codexsys_api.showing import RETRY_AFTER, Showing, asked_by
from codexsys_api.sources import Checked
from codexsys_api.submit.submitter import Submitter
from codexsys_core.errors import FieldError, Invalid
from codexsys_core.moves import TaskStatus
from codexsys_core.principal import Principal
from codexsys_core.retention import Kept, remove
from codexsys_core.task import Task, TaskQuery
from codexsys_core.verdict import Verdict
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])


@router.post(
    "",
    operation_id="createTask",
    status_code=202,
    response_model=TaskBody,
    responses={
        200: {"model": Checked, "description": "The source can be used; nothing was made"},
        202: {"headers": headers("Location", "Retry-After")},
    },
    openapi_extra=takes(CreateTask, multipart=True)
    | refuses(
        "address_denied",
        "url_refused",
        "forge_not_configured",
        "model_unknown",
        "price_unknown",
        "not_available_yet",
        "source_task_not_found",
        "source_task_not_over",
        "source_task_deleted",
        "upload_not_found",
        "upload_missing",
        "upload_used",
        "upload_expired",
        "queue_full",
        *ONCE,
        *SOURCE_REASONS,
        environment_not_found=422,
        secret_unreadable=422,
    ),
)
async def create(
    request: Request,
    caller: Writer,
    platform: Opened,
    base: Address,
    check: Annotated[bool, Query(description="Try the source, make nothing.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a task from JSON, or from multipart with the parts `task` (JSON) and `file` (a zip)."""
    submitter: Submitter = request.app.state.submitter
    begin = None if check else submitter.begin
    async with submission(request, platform, begin) as (body, upload):
        if check:
            return JSONResponse(await submitter.check(caller, body, upload=upload))
        task = await submitter.create(caller, body, upload=upload, key=idempotency_key)
    return await accepted(task, platform, base)


@asynccontextmanager
async def submission(
    request: Request, platform: Platform, begin: Begin | None = None
) -> AsyncIterator[tuple[CreateTask, Received | None]]:
    """Read a create request; an upload's file is gone when the block ends."""
    if media_type(request) != "multipart/form-data":
        yield await read_json(request, CreateTask), None
        return
    most = platform.settings.max_upload_mb << 20
    async with read_form(request, most, begin) as form:
        task, file = form.get("task"), form.get("file")
        odd = sorted(set(form) - {"task", "file"})
        if odd:
            raise _part(odd[0], "There is no such part.")
        if isinstance(task, Received):
            raise _part("task", "Send this part without a file's name: it is no file.")
        if not task:
            raise _part("task", "This part is required: the task as JSON.")
        body = read(CreateTask, task)
        if not isinstance(file, Received):
            raise _part("file", "This part is required: the zip, as a file.")
        yield body, zip_of(file, most)


def _part(name: str, detail: str) -> Invalid:
    return Invalid(detail, fields=[FieldError(f"/{name}", detail)])


async def accepted(task: Task, platform: Platform, base: str) -> Response:
    """Answer that a task was taken."""
    body = await shown(task, platform, base)
    headers = {"Location": f"/api/v1/tasks/{task.id}", "Retry-After": RETRY_AFTER}
    return _json(_text(body), status_code=202, headers=headers)


async def shown(task: Task, platform: Platform, base: str) -> TaskBody:
    """Return a task's body, with its place in the queue."""
    position = task.place
    if position is None and task.status is TaskStatus.QUEUED:
        position = await platform.tasks.queue_position(task.id, tenant_id=task.tenant_id)
    asked = (await asked_by([task], platform)).get(task.id, [])
    return task_body(task, base_url=base, queue_position=position, questions=asked)


@router.get("", operation_id="listTasks", response_model=TaskList)
async def find(
    request: Request,
    caller: Caller,
    platform: Opened,
    base: Address,
    status: TaskStatus | None = None,
    verdict: Verdict | None = None,
    label: Label = None,
    source_url: Annotated[str | None, Query(max_length=2048)] = None,
    created_after: CreatedAfter = None,
    q: Words = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List tasks, newest first."""
    query = TaskQuery(
        tenant_id=caller.tenant_id,
        status=status,
        verdict=verdict,
        label=labelled(label),
        source_url=source_url,
        created_after=moment(created_after),
        words=words(q),
        limit=limit,
        before=before(cursor, "task"),
    )
    items, more = await page(platform, query, base)
    return _json(_text(TaskList(items=items, next_cursor=more)), headers=next_link(request, more))


async def page(
    platform: Platform, query: TaskQuery, base: str
) -> tuple[list[TaskBody], str | None]:
    """Return one page of tasks and the cursor of the next."""
    tasks = await platform.tasks.find(query.model_copy(update={"limit": query.limit + 1}))
    kept, more = cut(tasks, query.limit)
    asked = await asked_by(kept, platform)
    return [task_body(task, base_url=base, questions=asked.get(task.id, [])) for task in kept], more


@router.get(
    "/{task_id}",
    operation_id="getTask",
    response_model=TaskBody,
    responses={
        200: {"headers": headers("ETag")},
        304: {"description": "It is as it was", "headers": headers("ETag")},
    },
)
async def show(
    request: Request,
    task_id: TaskId,
    caller: Caller,
    platform: Opened,
    base: Address,
    streams: Open,
    wait: Annotated[int, Query(ge=0, le=60, description="Seconds to hold until it changes.")] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Show a task."""
    showing: Showing = request.app.state.showing
    look = await showing.look(task_id, caller.tenant_id, base)
    known = if_none_match or look.etag
    if wait and not look.over and look.is_known(known):
        deadline = platform.clock.monotonic() + wait
        async with listening(platform, streams, task_id) as bell:
            while look.is_known(known) and not bell.closing:
                left = deadline - platform.clock.monotonic()
                if left <= 0:
                    break
                await bell.wait(min(1.0, left))
                look = await showing.look(task_id, caller.tenant_id, base)
    return look.answer(if_none_match)


def _text(body: BaseModel) -> bytes:
    return body.model_dump_json().encode()


def _json(
    body: bytes, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(body, status_code, headers, media_type="application/json")


@router.delete(
    "/{task_id}",
    operation_id="deleteTask",
    status_code=204,
    openapi_extra=refuses("task_not_over", "task_in_use", "store_unavailable"),
)
async def delete(task_id: TaskId, caller: Writer, platform: Opened) -> Response:
    """Remove a terminal task's code, prompts, artifacts, logs and checkpoints; its row stays."""
    task = await platform.tasks.delete(task_id, tenant_id=caller.tenant_id)
    for kept in Kept:
        await remove(platform.objects, task.id, kept)
    await platform.hints.tell(f"task:{task_id}")
    return Response(status_code=204)


@router.post("/{task_id}/cancel", operation_id="cancelTask", response_model=TaskBody)
async def cancel(task_id: TaskId, caller: Writer, platform: Opened, base: Address) -> Response:
    """Cancel a task, in whatever state it is; one that is over stays as it is."""
    return await respond(await cancelled(task_id, caller, platform), platform, base)


async def respond(task: Task, platform: Platform, base: str) -> Response:
    """Answer with a task as it is now."""
    return _json(_text(await shown(task, platform, base)))


async def cancelled(task_id: str, principal: Principal, platform: Platform) -> Task:
    """Cancel, and tell whoever works on it."""
    task = await platform.tasks.cancel(task_id, tenant_id=principal.tenant_id)
    await platform.hints.tell("cancel", task_id)
    await platform.hints.tell(f"task:{task_id}")
    return task


@router.post(
    "/{task_id}/retry",
    operation_id="retryTask",
    status_code=202,
    response_model=TaskBody,
    responses={202: {"headers": headers("Location", "Retry-After")}},
    openapi_extra=takes(RetryTask)
    | refuses(
        "task_not_over",
        "task_deleted",
        "secret_unreadable",
        "model_gone",
        "price_unknown",
        "queue_full",
        *ONCE,
    ),
)
async def retry(
    request: Request,
    task_id: TaskId,
    caller: Writer,
    platform: Opened,
    base: Address,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a new task of a terminal one: from its last checkpoint, or from the source as it is now."""
    body = await read_json(request, RetryTask)
    submitter: Submitter = request.app.state.submitter
    task = await submitter.retry(caller, task_id, body, key=idempotency_key)
    return await accepted(task, platform, base)


@router.get("/{task_id}/attempts", operation_id="listAttempts", response_model=AttemptList)
async def attempts(
    request: Request,
    task_id: TaskId,
    caller: Caller,
    platform: Opened,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the tries at a task, in order."""
    await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    tries = await platform.attempts.of_task(task_id, tenant_id=caller.tenant_id)
    found, more = following(tries, cursor, limit)
    made = await platform.sandboxes.of_task(task_id)
    items = [
        attempt_body(each, [row for row in made if row.attempt_id == each.id]) for each in found
    ]
    return listed(request, items, more)
