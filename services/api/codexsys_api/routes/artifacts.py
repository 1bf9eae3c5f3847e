"""Files of a task, by presigned link."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, RedirectResponse, Response

from codexsys_api.auth import Caller
from codexsys_api.context import Opened, Workbench
from codexsys_api.described.refusals import headers, refuses
from codexsys_api.routes.params import TaskId
from codexsys_api.serialize import ArtifactList, artifact_body
from codexsys_api.workspaces import Workspaces
from codexsys_core.artifact import Artifact, Link
from codexsys_core.errors import NotFound
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform

LINK_SECONDS = 15 * 60
MOVING_SECONDS = 60
"""A change under way is another one soon, and its checkpoint is not kept."""
router = APIRouter(prefix="/api/v1/tasks/{task_id}/artifacts", tags=["artifacts"])


@router.get(
    "",
    operation_id="listArtifacts",
    response_model=ArtifactList,
    openapi_extra=refuses("store_unavailable", "workspaces_busy", "too_large"),
)
async def find(
    task_id: TaskId, caller: Caller, platform: Opened, workspaces: Workbench
) -> Response:
    """List a task's files; each link is good for 15 minutes, that of a change under way for one."""
    task = await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    found = await workspaces.files(task)
    items = [artifact_body(each, await link_to(platform, task, each)) for each in found]
    return JSONResponse({"items": items, "next_cursor": None})


@router.get(
    "/{name}",
    operation_id="getArtifact",
    status_code=302,
    response_class=RedirectResponse,
    responses={302: {"description": "The link", "headers": headers("Location")}},
    openapi_extra=refuses(
        "artifact_not_found", "store_unavailable", "workspaces_busy", "too_large"
    ),
)
async def follow(
    task_id: TaskId, name: str, caller: Caller, platform: Opened, workspaces: Workbench
) -> Response:
    """Go to a fresh presigned link."""
    task = await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    link = await link_to(platform, task, await artifact_named(workspaces, task, name))
    return RedirectResponse(link.url, status_code=302, headers={"Cache-Control": "no-store"})


async def artifact_named(workspaces: Workspaces, task: Task, name: str) -> Artifact:
    """Return one of a task's files."""
    for artifact in await workspaces.files(task):
        if artifact.name == name:
            return artifact
    raise NotFound("This task has no such artifact.", code="artifact_not_found")


async def link_to(platform: Platform, task: Task, artifact: Artifact) -> Link:
    """Return a presigned link that saves the file under a name of its own."""
    return await platform.objects.link(
        artifact.object,
        filename=f"{task.id}-{artifact.name.replace('/', '-')}",
        content_type=artifact.content_type,
        seconds=LINK_SECONDS if task.status.terminal else MOVING_SECONDS,
    )
