"""The pages around tasks: keys, environments, what was used, and how the platform is."""

from datetime import UTC, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from codexsys_api.bodies import CreateEnvironment, CreateKey, read
from codexsys_api.condition import Condition
from codexsys_api.context import Opened
from codexsys_api.environments import Environments, environment_body
from codexsys_api.pages import Pages
from codexsys_api.pages.forms import errors_by_field
from codexsys_api.problems import of_error
from codexsys_api.routes.browser import Signed, Visitor, go, html, text, visitor_of
from codexsys_api.routes.keys import new_key
from codexsys_api.routes.params import known_form
from codexsys_api.routes.usage import DAYS, range_of, usage_body
from codexsys_api.serialize import key_body
from codexsys_core.errors import Conflict, Invalid, Unavailable
from codexsys_core.principal import Scope, key_text
from codexsys_core.usage import MOST_DAYS
from codexsys_wiring.platform import Platform

router = APIRouter(include_in_schema=False)
_MOST = 100


@router.get("/keys")
async def keys(visitor: Signed, platform: Opened) -> Response:
    """List the tenant's keys."""
    visitor.principal.must(Scope.ADMIN)
    return html(await _keys(visitor, platform))


async def _keys(visitor: Visitor, platform: Platform, **more: Any) -> str:
    found = await platform.keys.keys(visitor.principal.tenant_id, limit=_MOST)
    return visitor.pages.keys([key_body(each) for each in found], visitor.context, **more)


@router.post("/keys")
async def make_key(request: Request, visitor: Signed, platform: Opened) -> Response:
    """Make a key and show it, once."""
    async with visitor.form(request, needed=Scope.ADMIN) as form:
        typed = {"name": text(form, "name").strip(), "scope": text(form, "scope") or "read"}
    try:
        body = read(CreateKey, typed)
    except Invalid as error:
        errors = errors_by_field(of_error(request, error))
        return html(await _keys(visitor, platform, form=typed, errors=errors), 422)
    key, secret = await new_key(platform, visitor.principal, body)
    return html(await _keys(visitor, platform, new_key=key_text(key.id, secret)))


@router.post("/keys/{key_id}/revoke")
async def revoke_key(request: Request, key_id: str, visitor: Signed, platform: Opened) -> Response:
    """Make a key useless at once."""
    wanted = known_form(key_id, "key")
    async with visitor.form(request, needed=Scope.ADMIN):
        await platform.keys.revoke(wanted, tenant_id=visitor.principal.tenant_id)
    return go("/keys")


@router.get("/environments")
async def environments(visitor: Signed, platform: Opened) -> Response:
    """List the tenant's environments."""
    return html(await _environments(visitor, platform))


async def _environments(visitor: Visitor, platform: Platform, **more: Any) -> str:
    found = await platform.environments.find(tenant_id=visitor.principal.tenant_id, limit=_MOST)
    items = [environment_body(each).model_dump(mode="json") for each in found]
    return visitor.pages.environments(items, visitor.context, **more)


@router.post("/environments")
async def make_environment(request: Request, visitor: Signed, platform: Opened) -> Response:
    """Make an environment, or show what was typed with what is wrong about it."""
    async with visitor.form(request) as form:
        names = ("name", "image", "setup", "command")
        typed = {name: text(form, name).replace("\r\n", "\n") for name in names}
    given: dict[str, Any] = {
        name: typed[name] for name in ("name", "image", "setup") if typed[name].strip()
    }
    if typed["command"].strip():
        given["checks"] = {"command": typed["command"].strip()}
    try:
        body = read(CreateEnvironment, given)
        await Environments(platform).create(visitor.principal, body, None)
    except (Invalid, Conflict) as error:
        problem = of_error(request, error)
        errors = errors_by_field(problem)
        page = await _environments(visitor, platform, form=typed, errors=errors)
        return html(page, problem["status"])
    return go("/environments")


@router.post("/environments/{environment_id}/delete")
async def delete_environment(
    request: Request, environment_id: str, visitor: Signed, platform: Opened
) -> Response:
    """Remove an environment; tasks that took a copy keep it."""
    wanted = known_form(environment_id, "environment")
    async with visitor.form(request):
        await platform.environments.delete(wanted, tenant_id=visitor.principal.tenant_id)
    return go("/environments")


@router.get("/usage")
async def usage(
    visitor: Signed,
    platform: Opened,
    days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = DAYS,
    label: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Draw what the tenant's tasks used; a label that is none stays in its field."""
    today, said, wrong = platform.clock.now().astimezone(UTC).date(), label.strip() or None, ""
    first, tenant_id = today - timedelta(days=days - 1), visitor.principal.tenant_id
    try:
        query = range_of(tenant_id, first, today, said)
    except Invalid as error:
        query, wrong = range_of(tenant_id, first, today, None), error.message
    body = await usage_body(platform, query, None if wrong else said)
    shown = body.model_dump(mode="json", by_alias=True)
    page = visitor.pages.usage(shown, visitor.context, label=label, wrong=wrong)
    return html(page, 422 if wrong else 200)


@router.get("/health")
async def health(request: Request, platform: Opened) -> Response:
    """Say which parts answer: to whoever has a session, also when the database cannot be asked whose it is."""
    condition: Condition = request.app.state.condition
    try:
        visitor = await visitor_of(request, platform)
    except Unavailable:
        pages: Pages = request.app.state.pages
        ready, parts = await condition.look()
        return html(pages.health(ready, parts, None), 503)
    ready, parts = await condition.look()
    return html(visitor.pages.health(ready, parts, visitor.context))
