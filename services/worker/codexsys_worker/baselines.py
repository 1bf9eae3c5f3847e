"""The baseline of an attempt, kept, so that whoever carries on need not run the checks on the base again."""

from pydantic import ValidationError

from codexsys_core.errors import NotFound
from codexsys_core.verdict import CheckRun
from codexsys_worker.patience import PatientObjects
from codexsys_worker.work import Work


class Baselines:
    """Objects beside the base. Two owners may write one each: both are runs on the same base."""

    def __init__(self, *, objects: PatientObjects) -> None:
        self._objects = objects

    async def recall(self, work: Work) -> CheckRun | None:
        """Return what an earlier owner of the attempt found."""
        if work.hold.fence == 1:
            return None
        objects = self._objects.until(work.stop)
        try:
            return CheckRun.model_validate_json(await objects.get(_name(work)))
        except (NotFound, ValidationError):
            return None

    async def keep(self, work: Work, run: CheckRun) -> None:
        """Keep it, unless a limit ended it: that may go otherwise next time."""
        if run.reason is None:
            data = run.model_dump_json().encode()
            await self._objects.until(work.stop).put(
                _name(work), data, content_type="application/json"
            )


def _name(work: Work) -> str:
    task_id, number = work.task.id, work.hold.number
    return f"codexsys-code/processed_code/{task_id}/baseline-a{number}.json"
