"""Asking: an agent's question becomes a row, and its task waits without a sandbox."""

import json

from pydantic import ValidationError

from codexsys_core.ids import Ids
from codexsys_core.log import Redactor
from codexsys_core.preflight import questions
from codexsys_core.question import DECIDE_YOURSELF, MOST_QUESTIONS, Asked, Question, QuestionStore
from codexsys_worker.collect import Collected
from codexsys_worker.work import Lost, Work

WAITS = 11
"""The agent's exit code when it has asked and can do nothing until it is answered."""
FILE = "question.json"


class Waits(Exception):
    """The task waits for answers; a sandbox is not needed meanwhile."""

    def __init__(self, *asked: Asked, always: bool = False) -> None:
        super().__init__("the task waits for answers")
        self.asked = asked
        self.always = always
        """Whether a person is asked who does not want the agent's questions, too."""


def read_question(collected: Collected, redactor: Redactor) -> Asked | None:
    """Return what the agent asks, less any secret; None when it is no question."""
    text = redactor.redact(collected.outputs.get(FILE, b""))
    try:
        return Asked.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError):
        return None


class Asking:
    """Suspends attempts. A task whose owner does not want to be asked goes on by itself."""

    def __init__(self, *, questions: QuestionStore, ids: Ids, redactor: Redactor) -> None:
        self._questions = questions
        self._ids = ids
        self._redactor = redactor

    async def recall(self, work: Work) -> None:
        """Remember what was answered so far."""
        if work.task.asked:
            found = await self._questions.of_tasks([work.task.id])
            work.answers = [
                {"question": each.text, "answer": each.answer}
                for each in found.get(work.task.id, [])
                if each.answer is not None
            ]

    def read_reply(self, text: str) -> list[Asked]:
        """Return what a model asks before the work begins, less any secret; raises `Unreadable`."""
        clean = self._redactor.redact(text.encode(errors="replace"))
        return questions(clean.decode(errors="replace"))

    def read(self, work: Work, collected: Collected) -> Asked | None:
        """Return what the agent asks, None when it may not or it is no question."""
        if work.task.asked >= MOST_QUESTIONS:
            return None
        return read_question(collected, self._redactor)

    async def suspend(self, work: Work, waits: Waits) -> None:
        """Ask and let go of the attempt; raises `Lost` when it is not ours any more."""
        to_be_asked = waits.always or work.spec.clarify == "ask"
        ids = sorted(self._ids.new("qst") for _ in waits.asked)  # of one moment they have no order
        rows = [
            Question(
                id=question_id,
                task_id=work.task.id,
                text=asked.text,
                options=list(asked.options),
                default=asked.default,
                deadline=work.task.created_at,  # the row's is the database's
                answer=None if to_be_asked else asked.default or DECIDE_YOURSELF,
            )
            for question_id, asked in zip(ids, waits.asked, strict=True)
        ]
        seconds = float(work.spec.answer_within_seconds)
        if await self._questions.suspend(work.hold, rows, answer_seconds=seconds) is None:
            raise Lost
        work.over = True
