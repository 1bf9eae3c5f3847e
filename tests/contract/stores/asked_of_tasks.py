"""What tests of tasks and attempts ask again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from codexsys_core.artifact import Artifact
from codexsys_core.attempt import AttemptStore, Claim, Ending
from codexsys_core.end_reasons import EndReason
from codexsys_core.event import EventStore
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.task import DiffStat, Task
from codexsys_core.verdict import Evidence, Verdict

T = TypeVar("T")
LOST = Outcome(reason=EndReason.SANDBOX_LOST, detail="It was gone.")
DONE = Ending(
    status=TaskStatus.SUCCEEDED,
    outcome=Outcome(reason=EndReason.FINISHED),
    verdict=Verdict.VERIFIED,
    evidence=Evidence(verdict=Verdict.VERIFIED, sentences=["All passed."], before={"passed": 1}),
    diff=DiffStat(files=1, insertions=2, deletions=3),
    artifacts=(
        Artifact(name="report.md", object="codexsys-logs/x/report.md", size=3, sha256="b" * 64),
        Artifact(name="diff.patch", object="codexsys-logs/x/diff.patch", size=2, sha256="a" * 64),
    ),
)


async def eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is something; the database's own clock has to move on for it."""
    async with asyncio.timeout(20):
        while True:
            if answer := await ask():
                return answer
            await asyncio.sleep(0.02)


async def claimed(attempts: AttemptStore, task: Task, *, lease_seconds: float = 300) -> Claim:
    claim = await attempts.claim(task.id, owner="own_a", lease_seconds=lease_seconds)
    assert claim is not None
    return claim


async def types(events: EventStore, task: Task) -> list[str]:
    found = await events.after(task.id, 0)
    assert [event.id for event in found] == list(range(1, len(found) + 1))
    return [event.type.value for event in found]
