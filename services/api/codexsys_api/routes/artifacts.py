"""Files of a task, by presigned link."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, RedirectResponse, Response

from codexsys_api.auth import Caller
from codexsys_api.context import Opened
from codexsys_api.routes.params import TaskId
from codexsys_api.serialize import artifact_body
from codexsys_core.artifact import Artifact, Link
from codexsys_core.errors import NotFound
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1/tasks/{task_id}/artifacts", tags=["artifacts"])


@router.get("", operation_id="listArtifacts")
async def find(task_id: TaskId, caller: Caller, platform: Opened) -> Response:
    """List a terminal task's files; each link is good for 15 minutes."""
    await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    found = await platform.artifacts.of_task(task_id)
    items = [artifact_body(each, await link_to(platform, task_id, each)) for each in found]
    return JSONResponse({"items": items, "next_cursor": None})


@router.get("/{name}", operation_id="getArtifact", status_code=302)
async def follow(task_id: TaskId, name: str, caller: Caller, platform: Opened) -> Response:
    """Go to a fresh presigned link."""
    await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    link = await link_to(platform, task_id, await artifact_named(platform, task_id, name))
    return RedirectResponse(link.url, status_code=302, headers={"Cache-Control": "no-store"})


async def artifact_named(platform: Platform, task_id: str, name: str) -> Artifact:
    """Return one of a task's files."""
    for artifact in await platform.artifacts.of_task(task_id):
        if artifact.name == name:
            return artifact
    raise NotFound("This task has no such artifact.", code="artifact_not_found")


async def link_to(platform: Platform, task_id: str, artifact: Artifact) -> Link:
    """Return a presigned link that saves the file under a name of its own."""
    filename = f"{task_id}-{artifact.name.replace('/', '-')}"
    return await platform.objects.link(
        artifact.object, filename=filename, content_type=artifact.content_type
    )
