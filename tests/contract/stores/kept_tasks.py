"""Tasks with all that a task can keep, for tests of what is kept how long."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from tests.contract.stores.conftest import MakeSandbox, MakeTask

from codexsys_adapters.sql.attempts.checkpoints import SqlCheckpoints
from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.logs import SqlLogs
from codexsys_adapters.sql.retention import SqlRetention
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.uploads import SqlUploads
from codexsys_core.artifact import Artifact, ObjectStore
from codexsys_core.attempt import Ending, Hold
from codexsys_core.checkpoint import Checkpoint
from codexsys_core.clock import SystemClock
from codexsys_core.end_reasons import EndReason
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.redaction import SecretRedactor
from codexsys_core.task import Task
from codexsys_relay.retention import Retention, Terms

FILES = ("agent.log", "diff.patch")
SECRET_WORDS = "the secret of the prompt"


@dataclass
class Shop:
    """The stores, and tasks with all that a task can keep."""

    database: Database
    objects: ObjectStore
    make_task: MakeTask
    make_sandbox: MakeSandbox
    made: list[Task] = field(default_factory=list)

    @property
    def tasks(self) -> SqlTasks:
        return SqlTasks(database=self.database)

    @property
    def checkpoints(self) -> SqlCheckpoints:
        return SqlCheckpoints(database=self.database)

    @property
    def logs(self) -> SqlLogs:
        return SqlLogs(database=self.database, redactor=SecretRedactor([]))

    async def pass_(self, terms: Terms, objects: ObjectStore | None = None) -> None:
        store = SqlRetention(database=self.database)
        uploads, clock = SqlUploads(database=self.database), SystemClock()
        await Retention(
            store=store, uploads=uploads, objects=objects or self.objects, clock=clock, terms=terms
        ).once()

    async def claimed(self, *, retry_of: str | None = None, **spec: Any) -> tuple[Task, Hold]:
        task, attempt = self.make_task(**spec)
        task = task.model_copy(update={"retry_of": retry_of})
        self.made.append(task)
        await self.tasks.add(task, attempt)
        attempts = SqlAttempts(database=self.database)
        claim = await attempts.claim(task.id, owner="own_a", lease_seconds=300)
        assert claim is not None
        return task, claim.hold

    async def running(self, *, checkpoints: int = 0, **spec: Any) -> tuple[Task, Hold]:
        """Make a task that runs and has left something of every kind so far."""
        task, hold = await self.claimed(**spec)
        await self.objects.put(f"codexsys-code/tmp_zips/{task.id}/code.zip", b"zip")
        await self.objects.put(f"codexsys-code/processed_code/{task.id}/base.tar.gz", b"base")
        sandbox = self.make_sandbox(hold)
        await SqlSandboxes(database=self.database).add(hold, sandbox)
        for number in range(1, checkpoints + 1):
            place = f"codexsys-code/checkpoints/{task.id}/1-1-{number}"
            for name in ("patch", "state"):
                await self.objects.put(f"{place}/{name}", b"x")
            row = Checkpoint(
                id=TimeOrderedIds().new("ckp"),
                task_id=task.id,
                attempt=1,
                fence=1,
                number=number,
                step=number,
                object=place,
                patch_size=1,
                created_at=datetime.now(UTC),
            )
            assert await self.checkpoints.add(row, sandbox_id=sandbox.id)
        await self.logs.append(task.id, sandbox.id, "agent", 1, b"one\n")
        return task, hold

    async def end(self, task: Task, hold: Hold, files: tuple[str, ...] = FILES) -> None:
        await self.logs.seal(hold, "agent")
        artifacts = []
        for file in files:
            name = f"codexsys-logs/logs/{task.id}/{hold.writer}/{file}"
            size, sha256 = await self.objects.put(name, b"one\n")
            artifacts.append(Artifact(name=file, object=name, size=size, sha256=sha256))
        ending = Ending(
            status=TaskStatus.FAILED,
            outcome=Outcome(reason=EndReason.AGENT_GAVE_UP, detail=SECRET_WORDS),
            artifacts=tuple(artifacts),
        )
        assert await SqlAttempts(database=self.database).end(hold, ending)

    async def ended(self, **spec: Any) -> Task:
        task, hold = await self.running(checkpoints=1, **spec)
        await self.end(task, hold)
        return task

    async def left(self, task: Task) -> set[str]:
        """Return the kinds of objects that are there."""
        buckets = ("codexsys-code/", "codexsys-logs/")
        names = [name for bucket in buckets for name in await self.objects.names(bucket)]
        return {name.split("/")[1] for name in names if task.id in name}

    async def rows(self, table: str, task: Task) -> int:
        async with self.database.read() as connection:
            count = text(f"SELECT COUNT(*) FROM {table} WHERE task_id = :id")
            return int(await connection.scalar(count, {"id": task.id}) or 0)
