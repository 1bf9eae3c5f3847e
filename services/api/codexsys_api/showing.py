"""Tasks as their owners are shown them: each look of a task is made once, however often it is asked for."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from codexsys_api.serialize import TaskBody, task_body
from codexsys_core.moves import TaskStatus
from codexsys_core.question import Question
from codexsys_core.task import Glance, Task
from codexsys_wiring.platform import Platform

RETRY_AFTER = "2"
PLACE_SECONDS = 1.0
"""A place in the queue is counted so seldom; all else is as the row says at this moment."""
MOST_BYTES = 32 << 20
MOST_PLACES = 10_000


@dataclass(frozen=True)
class Look:
    """A task's body, and what is said with it."""

    tenant_id: str
    version: tuple[Any, ...]
    body: bytes
    etag: str
    over: bool

    def is_known(self, tags: str | None) -> bool:
        """Say whether somebody who has these tags has this look."""
        if not tags:
            return False
        given = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in given or self.etag in given

    def answer(self, if_none_match: str | None) -> Response:
        """Answer somebody who asked for the task."""
        headers = {"ETag": self.etag, "Cache-Control": "private, no-cache"}
        if not self.over:
            headers["Retry-After"] = RETRY_AFTER
        if self.is_known(if_none_match):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type="application/json")


class Showing:
    """Looks of tasks. The row's version is read each time, the rest only when that is another one."""

    def __init__(self, platform: Platform, *, most_bytes: int = MOST_BYTES) -> None:
        self._platform = platform
        self._most_bytes = most_bytes
        self._looks: OrderedDict[str, Look] = OrderedDict()
        self._bytes = 0
        self._places: dict[str, tuple[int | None, float]] = {}

    def foresee(self, task_id: str) -> "asyncio.Task[Glance] | None":
        """Begin to look at a task that was shown before, while it is found out who asks for it now."""
        known = self._looks.get(task_id)
        if known is None:
            return None
        looking = self._platform.tasks.glance(task_id, tenant_id=known.tenant_id)
        seen = asyncio.ensure_future(looking)
        seen.add_done_callback(_heard)
        return seen

    async def look(
        self,
        task_id: str,
        tenant_id: str,
        base: str,
        *,
        seen: "asyncio.Task[Glance] | None" = None,
    ) -> Look:
        """Return how a task looks now; raises `NotFound`. `seen` is what was begun for this request."""
        known = self._looks.get(task_id)
        if seen is not None and known is not None and known.tenant_id == tenant_id:
            glance = await seen
        else:
            glance = await self._platform.tasks.glance(task_id, tenant_id=tenant_id)
        waits = glance.status is TaskStatus.QUEUED
        place = await self._place(task_id, tenant_id) if waits else None
        version = (base, place, *glance)
        known = self._looks.get(task_id)
        if known is not None and known.version == version:
            self._looks.move_to_end(task_id)
            return known
        task = await self._platform.tasks.get(task_id, tenant_id=tenant_id)
        asked = (await asked_by([task], self._platform)).get(task_id, [])
        place = place if task.status is TaskStatus.QUEUED else None  # it may have begun meanwhile
        shown = task_body(task, base_url=base, queue_position=place, questions=asked)
        look = _look(tenant_id, version, shown, over=task.status.terminal)
        self._keep(task_id, look)
        return look

    async def _place(self, task_id: str, tenant_id: str) -> int | None:
        now = self._platform.clock.monotonic()
        place, until = self._places.get(task_id, (None, 0.0))
        if now >= until:
            place = await self._platform.tasks.queue_position(task_id, tenant_id=tenant_id)
            if len(self._places) >= MOST_PLACES:
                self._places = {each: of for each, of in self._places.items() if of[1] > now}
            self._places[task_id] = (place, now + PLACE_SECONDS)
        return place

    def _keep(self, task_id: str, look: Look) -> None:
        old = self._looks.pop(task_id, None)
        self._looks[task_id] = look
        self._bytes += len(look.body) - (len(old.body) if old else 0)
        while self._bytes > self._most_bytes:
            _, oldest = self._looks.popitem(last=False)
            self._bytes -= len(oldest.body)


def _heard(seen: "asyncio.Task[Glance]") -> None:
    """Take note of the end of what nobody may have waited for."""
    if not seen.cancelled():
        seen.exception()


def _look(tenant_id: str, version: tuple[Any, ...], shown: TaskBody, *, over: bool) -> Look:
    body = shown.model_dump_json().encode()
    return Look(tenant_id=tenant_id, version=version, body=body, etag=etag(body), over=over)


def etag(body: bytes) -> str:
    """Return the tag of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


async def asked_by(tasks: Sequence[Task], platform: Platform) -> dict[str, list[Question]]:
    """Return the questions of those tasks that have some."""
    asking = [task.id for task in tasks if task.asked]
    return await platform.questions.of_tasks(asking) if asking else {}
