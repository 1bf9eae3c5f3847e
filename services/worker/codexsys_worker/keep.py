"""Keep: what was collected of an agent that could not make its last checkpoint itself becomes one."""

import structlog

from codexsys_core.checkpoint import Checkpoint, CheckpointStore
from codexsys_core.clock import Clock
from codexsys_core.errors import NotFound, Unavailable
from codexsys_core.ids import Ids
from codexsys_core.patch import PatchBench, PatchRefused
from codexsys_worker.patience import PatientObjects
from codexsys_worker.work import Work


class Keeper:
    """Lets the next attempt, or a retry, stand on all that the agent had done, and not on less.

    A change that cannot be taken is not kept: nothing could be built on it.
    """

    def __init__(
        self,
        *,
        checkpoints: CheckpointStore,
        objects: PatientObjects,
        bench: PatchBench,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._checkpoints = checkpoints
        self._objects = objects
        self._bench = bench
        self._clock = clock
        self._ids = ids

    async def keep(self, work: Work, sandbox_id: str, *, number: int, patch: bytes) -> None:
        """Store the change with the state of the last checkpoint, unless that has the same one."""
        last = await self._checkpoints.last(work.task.id)
        if not patch and last is None:
            return
        try:
            change = (await self._bench.apply(work.base_dir, patch)).diff
            objects = self._objects.until(work.stop)
            if last is not None and await objects.get(f"{last.object}/patch") in (patch, change):
                return
            await self._store(work, sandbox_id, number, change, last)
        except PatchRefused:
            return
        except (NotFound, Unavailable) as error:
            structlog.get_logger().warning(
                "work not kept", task_id=work.task.id, error=error.message
            )

    async def _store(
        self, work: Work, sandbox_id: str, number: int, change: bytes, last: Checkpoint | None
    ) -> None:
        hold, objects = work.hold, self._objects.until(work.stop)
        place = (
            f"codexsys-code/checkpoints/{hold.task_id}/{hold.number}-{work.agent_fence}-{number}"
        )
        state = await objects.get(f"{last.object}/state") if last else b""
        await objects.put(f"{place}/patch", change)
        await objects.put(f"{place}/state", state)
        checkpoint = Checkpoint(
            id=self._ids.new("chk"),
            task_id=hold.task_id,
            attempt=hold.number,
            fence=work.agent_fence,
            number=number,
            step=last.step if last else 0,
            object=place,
            patch_size=len(change),
            created_at=self._clock.now(),
        )
        await self._checkpoints.add(checkpoint, sandbox_id=sandbox_id)
