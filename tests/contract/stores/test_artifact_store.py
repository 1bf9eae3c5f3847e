"""Every `ArtifactStore` keeps what the port promises."""

from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.artifacts import SqlArtifacts
from codexsys_core.artifact import Artifact
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome


def artifact(name: str) -> Artifact:
    return Artifact(
        name=name, object=f"codexsys-logs/logs/task/a1-f1/{name}", size=3, sha256="a" * 64
    )


async def test_a_terminal_task_has_its_artifacts_by_name(database: Database, hold: Hold) -> None:
    store = SqlArtifacts(database=database)
    assert await store.of_task(hold.task_id) == []
    ending = Ending(
        status=TaskStatus.SUCCEEDED,
        outcome=Outcome(reason=EndReason.FINISHED),
        artifacts=(artifact("prompt.txt"), artifact("diff.patch"), artifact("report.json")),
    )
    assert await SqlAttempts(database=database).end(hold, ending)
    names = ("diff.patch", "prompt.txt", "report.json")
    assert await store.of_task(hold.task_id) == [artifact(name) for name in names]


async def test_what_a_stale_owner_stored_is_not_listed(database: Database, hold: Hold) -> None:
    stale = hold.model_copy(update={"fence": hold.fence - 1})
    ending = Ending(
        status=TaskStatus.SUCCEEDED,
        outcome=Outcome(reason=EndReason.FINISHED),
        artifacts=(artifact("diff.patch"),),
    )
    assert not await SqlAttempts(database=database).end(stale, ending)
    assert await SqlArtifacts(database=database).of_task(hold.task_id) == []
