"""Every `QuestionStore` keeps what the port promises: answers race, deadlines come, nothing is held meanwhile."""

import asyncio

import pytest
from tests.contract.stores.conftest import MakeSandbox, MakeTask

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.talk.questions import SqlQuestions
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Ending, Hold
from codexsys_core.clock import SystemClock
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.moves import AttemptState, Phase, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.question import Question
from codexsys_core.sandbox import SandboxState

DONE = Ending(status=TaskStatus.SUCCEEDED, outcome=Outcome(reason=EndReason.FINISHED))


class Asking:
    """The stores, as the worker, the API and the relay use them."""

    def __init__(self, database: Database) -> None:
        self.questions = SqlQuestions(database=database)
        self.tasks = SqlTasks(database=database)
        self.attempts = SqlAttempts(database=database)
        self.sandboxes = SqlSandboxes(database=database)
        self.outbox = SqlOutbox(database=database)
        self.events = SqlEvents(database=database)

    async def suspend(
        self, hold: Hold, *questions: Question, seconds: float = 600
    ) -> TaskStatus | None:
        return await self.questions.suspend(hold, questions, answer_seconds=seconds)

    async def answer(
        self, hold: Hold, question: Question, text: str, *, key: str = "key_a"
    ) -> Question:
        return await self.questions.answer(
            hold.task_id, question.id, text, tenant_id="ten_a", key_id=key
        )

    async def status(self, hold: Hold) -> TaskStatus:
        return (await self.tasks.get(hold.task_id, tenant_id="ten_a")).status

    async def reason(self, hold: Hold) -> EndReason | None:
        task = await self.tasks.get(hold.task_id, tenant_id="ten_a")
        return task.end.reason if task.end else None

    async def overdue(self) -> None:
        """See to what is overdue once there is something: the database's clock moves on for it."""
        async with asyncio.timeout(20):
            while not await self.questions.overdue(limit=9):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def asking(database: Database) -> Asking:
    return Asking(database)


def a_question(hold: Hold, *, default: str | None = None, answer: str | None = None) -> Question:
    return Question(
        id=TimeOrderedIds().new("qst"),
        task_id=hold.task_id,
        text="Größe oder Länge?",
        options=["Größe", "Länge"],
        default=default,
        deadline=SystemClock().now(),
        answer=answer,
    )


async def test_a_suspended_task_holds_nothing(
    asking: Asking, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    await asking.sandboxes.add(hold, make_sandbox(hold))
    question = a_question(hold, default="Größe")
    assert await asking.suspend(hold, question) is TaskStatus.SUSPENDED
    task = await asking.tasks.get(hold.task_id, tenant_id="ten_a")
    assert (task.status, task.phase, task.asked) == (TaskStatus.SUSPENDED, None, 1)
    (row,) = await asking.attempts.of_task(hold.task_id, tenant_id="ten_a")
    assert (row.state, row.owner, row.lease_until) == (AttemptState.SUSPENDED, None, None)
    (sandbox,) = await asking.sandboxes.of_task(hold.task_id)
    assert sandbox.state is SandboxState.ENDED
    assert not await asking.attempts.move(hold, Phase.CODING)
    assert await asking.attempts.claim(hold.task_id, owner="own_b", lease_seconds=60) is None
    assert await asking.outbox.waiting(limit=9) == []
    assert await asking.attempts.take_over(grace_seconds=-999, most=3, limit=9) == []
    (asked,) = (await asking.questions.of_tasks([hold.task_id]))[hold.task_id]
    assert (asked.text, asked.options, asked.default) == (
        question.text,
        question.options,
        question.default,
    )
    assert asked.answer is None
    assert 590 < (asked.deadline - SystemClock().now()).total_seconds() < 610


async def test_suspending_again_says_the_same(asking: Asking, hold: Hold) -> None:
    question = a_question(hold)
    assert await asking.suspend(hold, question) is TaskStatus.SUSPENDED
    assert await asking.suspend(hold, question) is TaskStatus.SUSPENDED
    assert len((await asking.questions.of_tasks([hold.task_id]))[hold.task_id]) == 1


async def test_a_stale_owner_asks_nothing(asking: Asking, hold: Hold) -> None:
    stale = hold.model_copy(update={"fence": hold.fence - 1})
    assert await asking.suspend(stale, a_question(hold)) is None
    assert await asking.questions.of_tasks([hold.task_id]) == {}
    assert await asking.status(hold) is TaskStatus.RUNNING


async def test_an_answer_queues_the_same_attempt(asking: Asking, hold: Hold) -> None:
    question = a_question(hold)
    await asking.suspend(hold, question)
    answered = await asking.answer(hold, question, "Länge")
    assert (answered.answer, answered.answered_by) == ("Länge", "key_a")
    assert await asking.status(hold) is TaskStatus.QUEUED
    claim = await asking.attempts.claim(hold.task_id, owner="own_b", lease_seconds=60)
    assert claim is not None
    assert (claim.hold.attempt_id, claim.hold.fence) == (hold.attempt_id, hold.fence + 1)
    found = await asking.events.after(hold.task_id, 0)
    assert [each.id for each in found] == list(range(1, len(found) + 1))
    assert [each.type.value for each in found][2:] == [
        "task.question",
        "task.suspended",
        "task.answered",
        "task.running",
    ]
    assert "Länge" not in "".join(each.model_dump_json() for each in found)


async def test_of_many_answers_one_wins(asking: Asking, hold: Hold) -> None:
    question = a_question(hold)
    await asking.suspend(hold, question)
    answers = await asyncio.gather(
        *(asking.answer(hold, question, f"answer {number}") for number in range(8)),
        return_exceptions=True,
    )
    (won,) = [each for each in answers if isinstance(each, Question)]
    refused = [each for each in answers if isinstance(each, Conflict)]
    assert {each.code for each in refused} == {"already_answered"}
    assert len(refused) == 7
    assert won.answer is not None
    assert await asking.answer(hold, question, won.answer) == won  # sent twice is sent once
    with pytest.raises(Conflict):
        await asking.answer(hold, question, won.answer, key="key_b")


async def test_the_attempt_waits_for_all_open_questions(asking: Asking, hold: Hold) -> None:
    first, second = a_question(hold), a_question(hold)
    await asking.suspend(hold, first)
    await asking.answer(hold, first, "one")
    claim = await asking.attempts.claim(hold.task_id, owner="own_b", lease_seconds=60)
    assert claim is not None
    assert await asking.suspend(claim.hold, second) is TaskStatus.SUSPENDED
    await asking.answer(hold, second, "two")
    (questions,) = (await asking.questions.of_tasks([hold.task_id])).values()
    assert [each.answer for each in questions] == ["one", "two"]


async def test_several_asked_together_are_open_together(asking: Asking, hold: Hold) -> None:
    names = [f"qst_{number}" for number in range(3)]
    together = [a_question(hold, default="Größe").model_copy(update={"id": name}) for name in names]
    assert await asking.suspend(hold, *together) is TaskStatus.SUSPENDED
    assert await asking.suspend(hold, *together) is TaskStatus.SUSPENDED
    task = await asking.tasks.get(hold.task_id, tenant_id="ten_a")
    assert task.asked == 3
    (found,) = (await asking.questions.of_tasks([hold.task_id])).values()
    assert [each.id for each in found] == names
    answers = [asking.answer(hold, each, each.id) for each in together]
    await answers.pop()
    assert await asking.status(hold) is TaskStatus.SUSPENDED
    await asyncio.gather(*answers)  # at once: the one that is the last queues it
    assert await asking.status(hold) is TaskStatus.QUEUED
    events = await asking.events.after(hold.task_id, 0)
    assert [each.type.value for each in events].count("task.question") == 3
    claim = await asking.attempts.claim(hold.task_id, owner="own_b", lease_seconds=60)
    assert claim is not None
    assert claim.hold.attempt_id == hold.attempt_id


async def test_defaults_of_several_come_together(asking: Asking, hold: Hold) -> None:
    together = [a_question(hold, default="Größe"), a_question(hold, default="Länge")]
    await asking.suspend(hold, *together, seconds=-1)
    assert await asking.questions.overdue(limit=9) == 2
    assert await asking.status(hold) is TaskStatus.QUEUED
    (found,) = (await asking.questions.of_tasks([hold.task_id])).values()
    assert {each.answer for each in found} == {"Größe", "Länge"}


async def test_nothing_open_is_nothing_to_wait_for(asking: Asking, hold: Hold) -> None:
    assert await asking.suspend(hold, a_question(hold, answer="known")) is TaskStatus.QUEUED
    assert await asking.status(hold) is TaskStatus.QUEUED
    claim = await asking.attempts.claim(hold.task_id, owner="own_b", lease_seconds=60)
    assert claim is not None
    assert await asking.suspend(claim.hold) is TaskStatus.QUEUED


async def test_what_is_asked_of_whom(asking: Asking, hold: Hold, make_task: MakeTask) -> None:
    question = a_question(hold)
    await asking.suspend(hold, question)
    other = await asking.tasks.add(*make_task(tenant="ten_b"))
    with pytest.raises(NotFound):
        await asking.questions.answer(
            hold.task_id, question.id, "x", tenant_id="ten_b", key_id="key_b"
        )
    with pytest.raises(NotFound):
        await asking.questions.answer(other.id, question.id, "x", tenant_id="ten_b", key_id="key_b")
    assert await asking.status(hold) is TaskStatus.SUSPENDED


async def test_the_default_counts_after_the_deadline(asking: Asking, hold: Hold) -> None:
    question = a_question(hold, default="Größe")
    await asking.suspend(hold, question, seconds=0.2)
    await asking.overdue()
    assert await asking.status(hold) is TaskStatus.QUEUED
    (asked,) = (await asking.questions.of_tasks([hold.task_id]))[hold.task_id]
    assert (asked.answer, asked.answered_by) == ("Größe", None)
    with pytest.raises(Conflict) as caught:
        await asking.answer(hold, question, "too late")
    assert caught.value.code == "already_answered"


async def test_without_a_default_the_deadline_ends_the_task(asking: Asking, hold: Hold) -> None:
    question = a_question(hold)
    await asking.suspend(hold, question, seconds=0.2)
    await asking.overdue()
    assert await asking.status(hold) is TaskStatus.TIMED_OUT
    assert await asking.reason(hold) is EndReason.ANSWER_TIMEOUT
    assert await asking.outbox.result(hold.task_id) is not None
    with pytest.raises(Conflict) as caught:
        await asking.answer(hold, question, "too late")
    assert caught.value.code == "task_over"
    assert await asking.questions.overdue(limit=9) == 0


async def test_relays_and_an_answer_at_once_agree(asking: Asking, hold: Hold) -> None:
    question = a_question(hold, default="Größe")
    await asking.suspend(hold, question, seconds=-1)
    await asyncio.gather(
        *(asking.questions.overdue(limit=9) for _ in range(3)),
        asking.answer(hold, question, "Länge"),
        return_exceptions=True,
    )
    assert await asking.status(hold) is TaskStatus.QUEUED
    found = await asking.events.after(hold.task_id, 0)
    assert [each.type.value for each in found].count("task.answered") == 1


async def test_a_cancelled_task_does_not_wait(asking: Asking, hold: Hold) -> None:
    await asking.tasks.cancel(hold.task_id, tenant_id="ten_a")
    assert await asking.suspend(hold, a_question(hold)) is TaskStatus.CANCELLED
    assert await asking.status(hold) is TaskStatus.CANCELLED


async def test_a_suspended_task_is_cancelled_at_once(asking: Asking, hold: Hold) -> None:
    question = a_question(hold)
    await asking.suspend(hold, question)
    cancelled = await asking.tasks.cancel(hold.task_id, tenant_id="ten_a")
    assert cancelled.status is TaskStatus.CANCELLED
    with pytest.raises(Conflict):
        await asking.answer(hold, question, "too late")


async def test_a_deleted_tasks_questions_are_gone(asking: Asking, hold: Hold) -> None:
    await asking.suspend(hold, a_question(hold))
    await asking.tasks.cancel(hold.task_id, tenant_id="ten_a")
    await asking.tasks.delete(hold.task_id, tenant_id="ten_a")
    assert await asking.questions.of_tasks([hold.task_id]) == {}
