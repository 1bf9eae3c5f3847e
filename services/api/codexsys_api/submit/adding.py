"""A task and its first attempt stored, and announced in the background."""

from typing import Any

from codexsys_api.announce import Announcer
from codexsys_core.announcement import TaskRecord
from codexsys_core.attempt import Attempt
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import Principal
from codexsys_core.ready import turn_at
from codexsys_core.source import GitSource, Source, ZipSource
from codexsys_core.task import Task, TaskSpec
from codexsys_wiring.platform import Platform


class Adding:
    """Stores tasks. `close` waits a moment for announcements under way; the relay makes up for others."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._announcer = Announcer(queue=platform.queue, outbox=platform.outbox)

    async def add(
        self,
        principal: Principal,
        spec: TaskSpec,
        task_id: str,
        idempotency: Idempotency | None,
        *,
        retry_of: str | None = None,
        upload_id: str | None = None,
    ) -> Task:
        """Store a task, or return the one that was made with the same key."""
        platform, tenant_id = self._platform, principal.tenant_id
        task = Task(
            id=task_id,
            tenant_id=tenant_id,
            created_by=principal.key_id,
            spec=spec,
            retry_of=retry_of,
            created_at=platform.clock.now(),
        )
        attempt = Attempt(id=platform.ids.new("att"), task_id=task_id, tenant_id=tenant_id)
        stored = await platform.tasks.add(task, attempt, idempotency, upload_id=upload_id)
        if stored.id == task_id:
            self._announcer.announce(_record(stored))
        return stored

    async def close(self) -> None:
        """Wait a moment for announcements under way."""
        await self._announcer.close()


def _record(task: Task) -> TaskRecord:
    return TaskRecord(
        task_id=task.id,
        attempt=task.attempt,
        tenant_id=task.tenant_id,
        mode=task.spec.mode,
        source=_announced(task.spec.source),
        enqueued_at=task.created_at,
        turn_at=turn_at(task.created_at, task.spec.priority),
    )


def _announced(source: Source) -> dict[str, Any]:
    if isinstance(source, GitSource):
        return {"git": {"url": source.url, "ref": source.ref}}
    return {"object": source.object} if isinstance(source, ZipSource) else {"task": source.task_id}
