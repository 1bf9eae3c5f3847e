"""What an agent asks a person, and the store that lets a task wait for the answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.attempt import Hold
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import TaskStatus

Line = Annotated[str, Field(min_length=1, max_length=500)]
MOST_QUESTIONS = 20
"""Of one task; an agent that asks on and on has lost its way."""
DECIDE_YOURSELF = "Decide by yourself, and say in your summary what you assumed."
"""What is answered for a person who does not want to be asked."""


class Asked(BaseModel):
    """A question as the agent put it; its words are hostile until they are shown as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, max_length=4000)
    options: list[Line] = Field(default_factory=list, max_length=10)
    default: Line | None = None
    """What is taken when nobody answers in time. Without one the task ends then."""


class Question(BaseModel):
    """A question as its row tells it. It is open until it has an answer."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    text: str
    options: list[str] = Field(default_factory=list)
    default: str | None = None
    deadline: datetime
    answer: str | None = None
    answered_by: str | None = None
    """Id of the key; None when it was the default."""


class QuestionStore(Protocol):
    """Questions of tasks. Answers race: one wins, the others are `Conflict`.

    A suspended attempt has no owner and no sandbox. It is queued again, in the transaction of the
    answer, once no question of its task is open; any worker may carry on with it.
    """

    async def suspend(
        self, hold: Hold, questions: Sequence[Question], *, answer_seconds: float
    ) -> TaskStatus | None:
        """Fenced: ask these, all or none, (empty: they were asked before), and wait while one is open.

        Returns what the task is now: suspended; queued, when every question has its answer already;
        cancelled, when somebody wanted that. None when the fence is stale. The deadline is
        `answer_seconds` from now, on the database's time.
        """

    async def answer(
        self,
        task_id: str,
        question_id: str,
        answer: str,
        *,
        tenant_id: str,
        key_id: str,
        idempotency: Idempotency | None = None,
    ) -> Question:
        """Answer an open question; the same answer by the same key again is no error.

        With a known promise nothing is done, whatever became of the task since.

        `NotFound`, or `Conflict`: `already_answered`, or `task_over`.
        """

    async def of_tasks(self, task_ids: list[str]) -> dict[str, list[Question]]:
        """Return all questions of these tasks, each task's in order."""

    async def overdue(self, *, limit: int) -> int:
        """Relay: answer with the default what nobody answered in time, or end the task (`answer_timeout`)."""
