"""The tree with the change so far, as a zip."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from codexsys_api.auth import Caller
from codexsys_api.context import Opened, Workbench
from codexsys_api.described.refusals import refuses
from codexsys_api.routes.objects import attachment
from codexsys_api.routes.params import TaskId
from codexsys_api.workspaces import Workspaces
from codexsys_core.task import Task

router = APIRouter(prefix="/api/v1/tasks/{task_id}/workspace", tags=["artifacts"])
DOWNLOAD_SECONDS = 900.0
"""As long as a presigned link: who reads no faster holds the disk of others."""
_PIECE = 1 << 20


class _Bounded(StreamingResponse):
    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):  # what is cut off has no end, and a client sees that
            async with asyncio.timeout(DOWNLOAD_SECONDS):
                await super().__call__(scope, receive, send)


@router.get(
    "",
    operation_id="getWorkspace",
    response_class=Response,
    responses={
        200: {
            "description": "The tree",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    openapi_extra=refuses(
        "workspace_not_found",
        "workspace_not_ready",
        "change_refused",
        "workspaces_busy",
        "store_unavailable",
        "too_large",
    ),
)
async def show(
    task_id: TaskId, caller: Caller, platform: Opened, workspaces: Workbench
) -> Response:
    """Send the tree with the task's change as it is by now: in any state, once the source is there."""
    task = await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    sent = await attachment(
        _pieces(workspaces, task), f"{task_id}-workspace.zip", "application/zip"
    )
    return _Bounded(sent.body_iterator, headers=dict(sent.headers))


async def _pieces(workspaces: Workspaces, task: Task) -> AsyncIterator[bytes]:
    async with workspaces.zipped(task) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
