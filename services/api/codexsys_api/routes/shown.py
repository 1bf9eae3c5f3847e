"""What a task's page and a shared page load: only what the chosen tab or the link's parts show."""

from collections.abc import Sequence
from typing import Any

from codexsys_api.pages import stream_of, tab_of
from codexsys_api.pages.diff import Diff
from codexsys_api.routes.changes import Changes
from codexsys_api.routes.log_text import tail
from codexsys_api.serialize import artifact_body, event_body, message_body, share_body
from codexsys_api.workspaces import DIFF, Workspaces
from codexsys_core.artifact import Artifact
from codexsys_core.event import MOVES
from codexsys_core.share import Share
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform

MOST_BYTES = 4 << 20
_MOST_EVENTS = 500


async def tab_data(
    platform: Platform,
    workspaces: Workspaces,
    task: Task,
    body: dict[str, Any],
    tab: str | None,
    stream: str | None,
    changes: Changes,
) -> dict[str, Any]:
    """Return the keyword arguments of the task's page."""
    chosen = tab_of(body, tab)
    # A change under way is made when it is looked at: a page that shows something else does not wait.
    wanted = chosen in ("diff", "files")
    stored = await (workspaces.files(task) if wanted else platform.artifacts.of_task(task.id))
    found: dict[str, Any] = {
        "artifacts": [
            artifact_body(each, f"/tasks/{task.id}/artifacts/{each.name}") for each in stored
        ],
        "moves": await moves_of(platform, task),
    }
    if chosen == "diff":
        found["change"] = await change_in(stored, changes)
    elif chosen == "answer":
        found["answer"] = (await content(platform, stored, "answer.md")).decode(errors="replace")
    elif chosen == "log":
        found["log_tail"] = await tail(platform, task, stream_of(body, stream))
    elif chosen == "checks":
        found["verify_tail"] = await tail(platform, task, "verify")
    elif chosen in ("details", "conversation"):
        found["events"] = await last_events(platform, task)
        if chosen == "conversation":
            found |= await said_in(platform, task, stored)
    elif chosen == "share":
        found["shares"] = await live_shares(platform, task)
    return found


async def live_shares(platform: Platform, task: Task) -> list[dict[str, Any]]:
    """Return the links that work now."""
    now = platform.clock.now()
    found = await platform.shares.of_task(task.id, tenant_id=task.tenant_id)
    return [share_body(each) for each in found if each.revoked_at is None and each.expires_at > now]


async def shared_data(
    platform: Platform,
    workspaces: Workspaces,
    share: Share,
    task: Task,
    body: dict[str, Any],
    *,
    below: str,
    stream: str | None,
    changes: Changes,
) -> dict[str, Any]:
    """Return the keyword arguments of the shared page: nothing that is not among its parts."""
    wanted = "diff" in share.parts
    stored = await (workspaces.files(task) if wanted else platform.artifacts.of_task(task.id))
    found: dict[str, Any] = {
        "artifacts": [artifact_body(each, f"{below}/artifacts/{each.name}") for each in stored],
        "expires_at": share.expires_at.isoformat(),
        "below": below,
    }
    if "status" in share.parts:
        found["moves"] = await moves_of(platform, task)
    if "diff" in share.parts:
        found["change"] = await change_in(stored, changes)
    if "logs" in share.parts:
        found["log_tail"] = await tail(platform, task, stream_of(body, stream))
    if "report" in share.parts:
        name = "answer.md" if body["mode"] == "explain" else "report.md"
        found["report_md"] = (await content(platform, stored, name)).decode(errors="replace")
    if "conversation" in share.parts:
        found["events"] = await last_events(platform, task)
        found |= await said_in(platform, task, stored)
    return found


async def said_in(platform: Platform, task: Task, stored: Sequence[Artifact]) -> dict[str, Any]:
    """Return what the agent left behind of its conversation, and what it was told meanwhile."""
    told = await platform.messages.of_task(task.id)
    return {
        "trajectory": await content(platform, stored, "trajectory.json"),
        "messages": [message_body(each) for each in told],
    }


async def moves_of(platform: Platform, task: Task) -> list[dict[str, Any]]:
    """Return the events that begin or end a phase."""
    found = await platform.events.after(task.id, 0, kinds=MOVES)
    return [event_body(event) for event in found]


async def last_events(platform: Platform, task: Task) -> list[dict[str, Any]]:
    """Return the last events, as many as a page shows."""
    after = max(0, task.seq - _MOST_EVENTS)
    found = await platform.events.after(task.id, after, limit=_MOST_EVENTS)
    return [event_body(event) for event in found]


async def change_in(stored: Sequence[Artifact], changes: Changes) -> Diff | None:
    """Return the change that is among a task's files."""
    artifact = next((each for each in stored if each.name == DIFF), None)
    return await changes.of(artifact) if artifact else None


async def content(platform: Platform, stored: Sequence[Artifact], name: str) -> bytes:
    """Return a stored file, as far as a page shows it; nothing where there is none."""
    artifact = next((each for each in stored if each.name == name), None)
    found = bytearray()
    if artifact is not None:
        async for piece in platform.objects.stream(artifact.object):
            found += piece
            if len(found) >= MOST_BYTES:
                break
    return bytes(found[:MOST_BYTES])
