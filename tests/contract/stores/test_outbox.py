"""Every `Outbox` holds what must still be announced, and ends what nobody takes."""

from tests.contract.stores.asked_of_tasks import DONE, LOST, claimed, eventually
from tests.contract.stores.conftest import Submit

from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_core.attempt import AttemptStore
from codexsys_core.end_reasons import EndReason
from codexsys_core.moves import Phase, TaskStatus
from codexsys_core.ready import turn_at
from codexsys_core.source import ZipSource
from codexsys_core.task import TaskStore


async def test_a_waiting_task_is_announced_until_it_is_noted(
    outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit(priority=7)
    (record,) = await outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    assert (record.task_id, record.attempt, record.tenant_id) == (task.id, 1, "ten_a")
    assert record.mode == "modify"
    assert record.turn_at == turn_at(record.enqueued_at, 7)
    assert record.source == {"git": {"url": "https://example.org/a/b.git", "ref": None}}
    assert await outbox.unpublished_tasks(older_than_seconds=60, limit=9) == []
    await outbox.tasks_published([record])
    assert await outbox.unpublished_tasks(older_than_seconds=0, limit=9) == []
    assert await outbox.waiting(limit=9) == [record.waiting]


async def test_records_carry_no_prompt(outbox: SqlOutbox, submit: Submit) -> None:
    await submit(
        prompt="hunter2", source=ZipSource(object="codexsys-code/x", sha256="c" * 64, size=7)
    )
    (record,) = await outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    assert "hunter2" not in record.model_dump_json()
    assert record.source == {"object": "codexsys-code/x"}


async def test_waiting_holds_what_can_be_claimed_oldest_first(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    running, cancelled, delayed = await submit(), await submit(), await submit()
    first, second = await submit(), await submit()
    await claimed(attempts, running)
    await tasks.cancel(cancelled.id, tenant_id="ten_a")
    hold = (await claimed(attempts, delayed)).hold
    await attempts.again(hold, LOST, new_attempt_id="att_later", delay_seconds=600)
    assert [record.task_id for record in await outbox.waiting(limit=9)] == [first.id, second.id]
    assert delayed.id not in {
        record.task_id for record in await outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    }


async def test_a_result_is_due_until_it_is_noted(
    attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit()
    await attempts.end((await claimed(attempts, task)).hold, DONE)
    (record,) = await outbox.unpublished_results(older_than_seconds=0, limit=9)
    assert record == await outbox.result(task.id)
    assert await outbox.unpublished_results(older_than_seconds=60, limit=9) == []
    await outbox.result_published(task.id, record.seq + 1)
    assert len(await outbox.unpublished_results(older_than_seconds=0, limit=9)) == 1
    await outbox.result_published(task.id, record.seq)
    assert await outbox.unpublished_results(older_than_seconds=0, limit=9) == []
    assert await outbox.result(task.id) == record


async def test_a_task_that_nobody_takes_times_out(
    tasks: TaskStore, outbox: SqlOutbox, submit: Submit
) -> None:
    late = await submit(limits={"queue_seconds": 1})
    patient = await submit()
    assert await eventually(lambda: outbox.expire_queued(limit=9)) == 1
    ended = await tasks.get(late.id, tenant_id="ten_a")
    assert ended.status is TaskStatus.TIMED_OUT
    assert ended.end is not None
    assert ended.end.reason is EndReason.QUEUE_TIMEOUT
    assert (await outbox.result(late.id)) is not None
    assert (await tasks.get(patient.id, tenant_id="ten_a")).status is TaskStatus.QUEUED


async def test_a_running_task_does_not_time_out_in_the_queue(
    attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    late = await submit(limits={"queue_seconds": 1})
    running = await submit(limits={"queue_seconds": 1})
    hold = (await claimed(attempts, running)).hold
    assert await eventually(lambda: outbox.expire_queued(limit=9)) == 1
    assert (await outbox.result(late.id)) is not None
    assert await attempts.move(hold, Phase.CODING)
