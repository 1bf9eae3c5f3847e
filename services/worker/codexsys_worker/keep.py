"""Keep: what was collected of an agent that could not make its last checkpoint itself becomes one."""

import json

import structlog

from codexsys_core.checkpoint import Checkpoint, CheckpointStore
from codexsys_core.clock import Clock
from codexsys_core.errors import NotFound, Unavailable
from codexsys_core.ids import Ids
from codexsys_core.patch import PatchBench, PatchRefused
from codexsys_worker.collect import Collected
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

    async def keep(self, work: Work, sandbox_id: str, *, number: int, left: Collected) -> None:
        """Store the change with the engine's last state, unless the last checkpoint has the same one."""
        patch, last = left.patch, await self._checkpoints.last(work.task.id)
        if not patch and last is None:
            return
        try:
            change = (await self._bench.apply(work.base_dir, patch)).diff
            objects = self._objects.until(work.stop)
            if last is not None and await objects.get(f"{last.object}/patch") in (patch, change):
                return
            state = _state(left) or (await objects.get(f"{last.object}/state") if last else b"")
            await self._store(work, sandbox_id, number, change, state, last)
        except PatchRefused:
            return
        except (NotFound, Unavailable) as error:
            structlog.get_logger().warning(
                "work not kept", task_id=work.task.id, error=error.message
            )

    async def _store(
        self,
        work: Work,
        sandbox_id: str,
        number: int,
        change: bytes,
        state: bytes,
        last: Checkpoint | None,
    ) -> None:
        hold, objects = work.hold, self._objects.until(work.stop)
        place = (
            f"codexsys-code/checkpoints/{hold.task_id}/{hold.number}-{work.agent_fence}-{number}"
        )
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


def _state(left: Collected) -> bytes:
    """Return what the engine wrote down after its last step; nothing where it is no state."""
    written = left.outputs.get("state.json", b"")
    try:
        return written if isinstance(json.loads(written), dict) else b""
    except (ValueError, RecursionError):
        return b""
