"""The pages for people: the form, one task, its shares, and the shared page."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from codexsys_api.bodies import (
    CreateShare,
    CreateTask,
    CreateUpload,
    GiveAnswer,
    RetryTask,
    SendMessage,
    read,
)
from codexsys_api.context import Address, Opened, Workbench
from codexsys_api.forms import Form
from codexsys_api.pages import Pages, shareable
from codexsys_api.pages.forms import LIMITS, errors_by_field, to_create_body
from codexsys_api.problems import of_error
from codexsys_api.received import Received, zip_of
from codexsys_api.routes.artifacts import artifact_named, link_to
from codexsys_api.routes.browser import Signed, Visitor, go, html, text
from codexsys_api.routes.changes import Changes
from codexsys_api.routes.messages import told
from codexsys_api.routes.objects import attachment
from codexsys_api.routes.params import TaskId, known_form
from codexsys_api.routes.shares import new_share, share_of_token, while_it_works
from codexsys_api.routes.shown import change_in, live_shares, shared_data, tab_data
from codexsys_api.routes.tasks import cancelled, shown
from codexsys_api.routes.uploads import answered
from codexsys_api.submit.submitter import Submitter
from codexsys_api.uploads import Uploads
from codexsys_api.workspaces import Workspaces
from codexsys_core.errors import Conflict, Invalid, NotFound, PlatformError
from codexsys_core.limits import Limits
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform

router = APIRouter(include_in_schema=False)
DIRECT_BYTES = 16 << 20
"""Zips of this size on go to a store that has an address of its own."""
Number = Annotated[int, Query(ge=0, lt=2**31)]


@router.get("/submit")
async def ask(visitor: Signed, platform: Opened, task: str = "") -> Response:
    """Ask for a task."""
    form = {"task": task, "source": "task"} if task else {}
    options = await _options(platform, visitor)
    page = visitor.pages.submit(form, {}, visitor.context, options)
    return html(page, store=platform.forms.origin)


@router.post("/submit/upload")
async def place(request: Request, visitor: Signed) -> Response:
    """Make a place for a large zip, for the form's script."""
    uploads: Uploads = request.app.state.uploads
    async with visitor.form(request) as form:
        body = read(CreateUpload, {"filename": text(form, "filename") or None})
    return answered(*await uploads.create(visitor.principal, body), uploads.most_bytes)


async def _options(platform: Platform, visitor: Visitor) -> dict[str, Any]:
    limits = Limits().model_dump()
    named = await platform.environments.find(tenant_id=visitor.principal.tenant_id, limit=100)
    return {
        "engines": ["builtin"],
        "models": [*([""] if platform.catalogue.rules else []), *platform.catalogue.models],
        "limits": {name: limits[name] for name in LIMITS},
        "environments": [{"id": each.id, "name": each.name} for each in named],
        "max_zip": f"{platform.settings.max_upload_mb} MiB",
        "direct_bytes": DIRECT_BYTES if platform.forms.origin else 0,
    }


@router.post("/submit")
async def submit(request: Request, visitor: Signed, platform: Opened) -> Response:
    """Make a task, or show what was typed with what is wrong about it."""
    most = platform.settings.max_upload_mb << 20
    async with visitor.form(request, most) as form:
        typed = {name: value for name, value in form.items() if isinstance(value, str)}
        options = await _options(platform, visitor)
        show = partial(visitor.pages.submit, typed, ctx=visitor.context, options=options)
        status = 422
        try:
            made = await _made(request, visitor, form, typed, most)
        except PlatformError as error:
            problem = of_error(request, error)
            if problem["status"] >= 500:
                raise
            made, status = errors_by_field(problem), problem["status"]
    if isinstance(made, Task):
        return go(f"/tasks/{made.id}")
    store = platform.forms.origin
    if isinstance(made, Checked):
        return html(show({}, checked=made.source | _checks(made.checks)), store=store)
    return html(show(made), status, store=store)


@dataclass(frozen=True)
class Checked:
    """A source that was tried and found good; nothing was made."""

    source: dict[str, Any]
    checks: dict[str, Any] | None


def _checks(found: dict[str, Any] | None) -> dict[str, str]:
    """Say how a change would be checked."""
    if found is None:
        return {}
    if found["command"] is None:
        none = "to be skipped" if found["strategy"] == "skip" else "none were found"
        return {
            "checks": none if found["looked"] else "not looked for: the source is large or slow"
        }
    place = f" (found in {found['found_in']})" if found["found_in"] else ""
    return {"checks": f"{found['command']}{place}"}


async def _made(
    request: Request,
    visitor: Visitor,
    form: Form,
    typed: dict[str, str],
    most: int,
) -> Task | Checked | dict[str, str]:
    """Return the new task, what a check found, or errors by field."""
    submitter: Submitter = request.app.state.submitter
    given, errors = to_create_body(typed)
    file = form.get("file")
    zipped = typed.get("source") == "zip" and "source" not in given
    if zipped and not (isinstance(file, Received) and file.filename):
        errors["file"] = "Choose a zip file."
    if errors:
        return errors
    body = read(CreateTask, given)
    upload = zip_of(file, most) if zipped and isinstance(file, Received) else None
    if typed.get("check"):
        found = await submitter.check(visitor.principal, body, upload=upload)
        return Checked(found["source"], found["checks"])
    return await submitter.create(visitor.principal, body, upload=upload)


@router.get("/tasks/{task_id}")
async def task(
    request: Request,
    task_id: TaskId,
    visitor: Signed,
    platform: Opened,
    workspaces: Workbench,
    base: Address,
    tab: str | None = None,
    stream: str | None = None,
    live: str = "1",
    view: str = "",
    file: Number = 0,
    chunk: Number = 0,
) -> Response:
    """Show one task."""
    found = await platform.tasks.get(task_id, tenant_id=visitor.principal.tenant_id)
    body = (await shown(found, platform, base)).model_dump(mode="json")
    changes: Changes = request.app.state.changes
    data = await tab_data(platform, workspaces, found, body, tab, stream, changes)
    render = partial(
        visitor.pages.task,
        body,
        tab,
        visitor.context,
        log_stream=stream,
        live=live != "0",
        view=view,
        at=(file, chunk),
        **data,
    )
    return html(await asyncio.to_thread(render))


@router.get("/tasks/{task_id}/diff")
async def diff_part(
    request: Request,
    task_id: TaskId,
    visitor: Signed,
    platform: Opened,
    workspaces: Workbench,
    file: Number = 0,
    chunk: Number = 0,
    view: str = "",
) -> Response:
    """Show lines of a change that the page has only a link to."""
    found = await platform.tasks.get(task_id, tenant_id=visitor.principal.tenant_id)
    return await _part(request, workspaces, found, file, chunk, view)


async def _part(
    request: Request, workspaces: Workspaces, task: Task, file: int, chunk: int, view: str
) -> Response:
    change = await change_in(await workspaces.files(task), request.app.state.changes)
    pages: Pages = request.app.state.pages
    part = await asyncio.to_thread(pages.diff_part, change, file, chunk, view) if change else ""
    if not part:
        raise NotFound("The change has no such lines any more.", code="not_found")
    return html(part)


@router.get("/tasks/{task_id}/artifacts/{name}")
async def artifact(
    task_id: TaskId, name: str, visitor: Signed, platform: Opened, workspaces: Workbench
) -> Response:
    """Go to a fresh presigned link."""
    found = await platform.tasks.get(task_id, tenant_id=visitor.principal.tenant_id)
    link = await link_to(platform, found, await artifact_named(workspaces, found, name))
    return RedirectResponse(link.url, status_code=302, headers={"Cache-Control": "no-store"})


@router.post("/tasks/{task_id}/answers")
async def answer(request: Request, task_id: TaskId, visitor: Signed, platform: Opened) -> Response:
    """Answer open questions, each by one of its options or in own words; what is left empty stays open."""
    who = visitor.principal
    async with visitor.form(request) as form:
        asked = form.getlist("question") or [""]
        given = [said for each in asked if (said := _said_to(form, each))]
    if not given:
        raise Invalid("Choose an answer, or write one.")
    refused: list[Conflict] = []
    for each in given:
        try:
            await platform.questions.answer(
                task_id, each.question, each.answer, tenant_id=who.tenant_id, key_id=who.key_id
            )
        except Conflict as conflict:  # the other answers hold all the same
            refused.append(conflict)
    await platform.hints.tell(f"task:{task_id}")
    if refused:
        raise refused[0]
    return go(f"/tasks/{task_id}")


def _said_to(form: Form, question: str | Received) -> GiveAnswer | None:
    asked = known_form(question if isinstance(question, str) else "", "question")
    words = text(form, f"words-{asked}").strip() or text(form, f"option-{asked}")
    return read(GiveAnswer, {"question": asked, "answer": words}) if words else None


@router.post("/tasks/{task_id}/messages")
async def message(request: Request, task_id: TaskId, visitor: Signed, platform: Opened) -> Response:
    """Tell the agent something while it works."""
    async with visitor.form(request) as form:
        body = read(SendMessage, {"text": text(form, "text")})
    await told(platform, visitor.principal, task_id, body)
    return go(f"/tasks/{task_id}?tab=conversation")


@router.post("/tasks/{task_id}/cancel")
async def cancel(request: Request, task_id: TaskId, visitor: Signed, platform: Opened) -> Response:
    """Cancel a task."""
    async with visitor.form(request):
        await cancelled(task_id, visitor.principal, platform)
    return go(f"/tasks/{task_id}")


@router.post("/tasks/{task_id}/retry")
async def retry(request: Request, task_id: TaskId, visitor: Signed) -> Response:
    """Make a new task of a terminal one."""
    submitter: Submitter = request.app.state.submitter
    async with visitor.form(request):
        again = await submitter.retry(visitor.principal, task_id, RetryTask())
    return go(f"/tasks/{again.id}")


@router.post("/tasks/{task_id}/shares")
async def share(
    request: Request, task_id: TaskId, visitor: Signed, platform: Opened, base: Address
) -> Response:
    """Make a link and show it, once."""
    async with visitor.form(request) as form:
        wanted = {"expires_in": _number(text(form, "expires_in")), "parts": form.getlist("parts")}
    _, token = await new_share(platform, visitor.principal, task_id, read(CreateShare, wanted))
    found = await platform.tasks.get(task_id, tenant_id=visitor.principal.tenant_id)
    body = (await shown(found, platform, base)).model_dump(mode="json")
    links = await live_shares(platform, found)
    url = f"{base}/s/{token}"
    return html(visitor.pages.task(body, "share", visitor.context, shares=links, new_share_url=url))


def _number(given: str) -> int:
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise Invalid("Say in how many seconds the link expires.")
    return int(given)


@router.post("/shares/{share_id}/revoke")
async def revoke(request: Request, share_id: str, visitor: Signed, platform: Opened) -> Response:
    """End a link at once."""
    share_id = known_form(share_id, "share")
    async with visitor.form(request) as form:
        task_id = known_form(text(form, "task"), "task")
    await platform.shares.revoke(share_id, tenant_id=visitor.principal.tenant_id)
    return go(f"/tasks/{task_id}?tab=share")


@router.get("/s/{token}")
async def shared(
    request: Request,
    token: str,
    platform: Opened,
    workspaces: Workbench,
    base: Address,
    stream: str | None = None,
    view: str = "",
    file: Number = 0,
    chunk: Number = 0,
) -> Response:
    """Show what a link shows, to whoever has it."""
    link = await share_of_token(request, platform, token)
    found = await platform.tasks.get(link.task_id, tenant_id=link.tenant_id)
    body = (await shown(found, platform, base)).model_dump(mode="json")
    if "prompt" not in link.parts:
        body["prompt"] = ""
    changes: Changes = request.app.state.changes
    data = await shared_data(
        platform, workspaces, link, found, body, below=f"/s/{token}", stream=stream, changes=changes
    )
    render = partial(
        request.app.state.pages.share,
        body,
        link.parts,
        view=view,
        at=(file, chunk),
        log_stream=stream,
        **data,
    )
    return html(await asyncio.to_thread(render))


@router.get("/s/{token}/diff")
async def shared_diff_part(
    request: Request,
    token: str,
    platform: Opened,
    workspaces: Workbench,
    file: Number = 0,
    chunk: Number = 0,
    view: str = "",
) -> Response:
    """Show lines of a shared change that the page has only a link to."""
    link = await share_of_token(request, platform, token)
    if "diff" not in link.parts:
        raise NotFound("This link does not show that.", code="not_found")
    found = await platform.tasks.get(link.task_id, tenant_id=link.tenant_id)
    return await _part(request, workspaces, found, file, chunk, view)


@router.get("/s/{token}/artifacts/{name}")
async def shared_artifact(
    request: Request, token: str, name: str, platform: Opened, workspaces: Workbench
) -> Response:
    """Stream a file through the API, so that revoking the link works at once."""
    link = await share_of_token(request, platform, token)
    if not shareable(name, link.parts):
        raise NotFound("This link does not show that.", code="artifact_not_found")
    task = await platform.tasks.get(link.task_id, tenant_id=link.tenant_id)
    found = await artifact_named(workspaces, task, name)
    content = while_it_works(platform, link, platform.objects.stream(found.object))
    return await attachment(content, f"{link.task_id}-{name}", found.content_type)
