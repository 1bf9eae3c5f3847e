"""The built-in engine's loop: ask, run the calls, append, until an end.

ask ──► reply ──► calls ──► results ──► (stuck? limit?) ──► ask
         │                     └── finish ──► end
         └── no call: say so, at most three times
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codexsys_agent.chat import Call, Reply, complete
from codexsys_agent.context import Context
from codexsys_agent.door import Door
from codexsys_agent.ending import Ending, Exit
from codexsys_agent.errors import DoorAnswered, DoorRefused, StreamBroken
from codexsys_agent.limits import Budget
from codexsys_agent.report import Events, say
from codexsys_agent.session import Note, Session
from codexsys_agent.stop import Stop
from codexsys_agent.stuck import Stuck, StuckWatch
from codexsys_agent.tools import Done, Tools

_TRIES = 5
_RETRIED = (408, 409, 425, 429)
_FIRST_WAIT = 0.5
_SHOWN = 500


class Overflow(Exception):
    """The conversation does not fit, however much is masked."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the loop bears silence and failure of the model."""

    idle_seconds: float = 300.0
    first_wait: float = _FIRST_WAIT
    patience_seconds: float = 300.0
    close_seconds: float = 9.0


class Loop:
    """Drives one model through one task."""

    def __init__(
        self,
        *,
        door: Door,
        model: str,
        tools: Tools,
        session: Session,
        budget: Budget,
        events: Events,
        stop: Stop,
        pace: Pace,
        after_step: Callable[[Session], None],
        inbox: Callable[[], list[Note]],
    ) -> None:
        self._door = door
        self._model = model
        self._tools = tools
        self._session = session
        self._budget = budget
        self._events = events
        self._stop = stop
        self._pace = pace
        self._after_step = after_step
        self._inbox = inbox
        self._context = Context()
        self._watch = StuckWatch()

    def run(self) -> Ending:
        """Work until the model finishes or something ends the run."""
        while True:
            ending = self._bounds()
            if ending:
                return ending
            self._listen()
            self._note(self._budget.reminder(self._session))
            try:
                reply = self._ask()
                ending = self._take(reply)
                if ending and ending.exit is Exit.FINISHED and self._listen():
                    ending = None  # a person said something meanwhile: the model thinks again
            except Stuck as finding:
                ending = Ending(Exit.STUCK, "stuck", detail=str(finding))
            self._after_step(self._session)
            if ending:
                return ending

    def _bounds(self) -> Ending | None:
        if self._stop.requested:
            return Ending(Exit.CANCELLED, "cancelled", detail=self._stop.reason)
        limit = self._budget.exceeded(self._session)
        if limit is None:
            return None
        code, words = limit
        return Ending(Exit.LIMIT, "limit", detail=f"reached {words}", code=code)

    def _listen(self) -> bool:
        """Put what came into the conversation, and say whether a person said something new."""
        heard = [self._heard(note) for note in self._inbox()]
        return any(heard)

    def _heard(self, note: Note) -> bool:
        if not note.message:
            self._note(note.text)
        if not note.message or note.message in self._session.heard:
            return False
        self._session.heard.append(note.message)
        say(f"message: {' '.join(note.text.split())[:_SHOWN]}")
        self._session.say("user", f"[a message from the person who asked] {note.text}")
        self._events.add("agent.message", message=note.message)
        return True

    def _note(self, text: str) -> None:
        if text:
            say(f"note: {text.splitlines()[0][:_SHOWN]}")
            self._session.say("user", f"[platform] {text}")

    def _take(self, reply: Reply) -> Ending | None:
        number = self._session.steps + 1
        for index, call in enumerate(reply.calls):
            call.id = call.id or f"call_{number}_{index}"
        self._session.replied(reply)
        self._tell_step(number, reply)
        if not reply.calls:
            return self._no_call(reply)
        results = []
        for call in reply.calls:
            done = self._run(number, call)
            results.append(done)
            finish = done.finish
            if finish:
                return _finished(finish)
        self._note(self._watch.step(reply.calls, results))
        return None

    def _no_call(self, reply: Reply) -> Ending | None:
        if reply.finish_reason == "length":
            self._note("Your reply was cut at its length limit. Take a shorter step, with a tool.")
        else:
            self._note("No tool was called. Continue with a tool, or call finish.")
        self._watch.no_call()
        return None

    def _run(self, number: int, call: Call) -> Done:
        if self._stop.requested:
            done = Done("error: not run, the task was stopped", ok=False, seconds=0)
        else:
            done = self._tools.run(call, remaining=self._budget.remaining_seconds)
        self._session.observed(call, done.output)
        about = " ".join(call.arguments.split())[:160]
        say(f"step {number}: {call.name} {about} ({done.seconds:.1f} s)")
        self._events.add(
            "agent.tool",
            step=number,
            tool=call.name,
            summary=about,
            ok=done.ok,
            seconds=round(done.seconds, 3),
        )
        return done

    def _tell_step(self, number: int, reply: Reply) -> None:
        if reply.content.strip():
            say(f"step {number}: {reply.content.strip()[:_SHOWN]}")
        self._events.add(
            "agent.step",
            step=number,
            text=reply.content[:_SHOWN],
            tools=[call.name for call in reply.calls],
            prompt_tokens=self._session.prompt_tokens,
            completion_tokens=self._session.completion_tokens,
        )

    def _ask(self) -> Reply:
        wait = self._pace.first_wait
        tries = 1
        while True:
            try:
                return self._complete()
            except DoorRefused:
                raise
            except DoorAnswered as error:
                if _is_overflow(error):
                    self._tighten(error)
                    continue
                if tries >= _TRIES or not _worth_retrying(error.status):
                    raise
                pause = wait if error.retry_after is None else error.retry_after
                problem: Exception = error
            except StreamBroken as error:
                if self._bounds() or tries >= _TRIES:
                    raise
                pause, problem = wait, error
            say(f"model: {problem}; trying again in {pause:.1f} s")
            self._stop.wait(min(pause, max(0.0, self._budget.remaining_seconds)))
            tries, wait = tries + 1, wait * 2
            if self._bounds():
                raise StreamBroken(str(problem)) from problem

    def _complete(self) -> Reply:
        messages: list[dict[str, Any]] = self._context.view(self._session.messages)
        return complete(
            self._door,
            model=self._model,
            messages=messages,
            tools=self._tools.definitions,
            idle=max(0.1, min(self._pace.idle_seconds, self._budget.remaining_seconds)),
        )

    def _tighten(self, error: DoorAnswered) -> None:
        if not self._context.tighten():
            raise Overflow(error.message) from error
        say("model: the conversation is too long; older tool outputs are masked")
        self._events.add("agent.note", text="older tool outputs are masked")


def _finished(finish: dict[str, Any]) -> Ending:
    blocked = finish["status"] == "blocked"
    return Ending(
        Exit.GAVE_UP if blocked else Exit.FINISHED,
        "blocked" if blocked else "done",
        summary=finish["summary"],
        criteria=tuple(finish["criteria"]),
    )


def _worth_retrying(status: int) -> bool:
    return status in _RETRIED or status >= 500


def _is_overflow(error: DoorAnswered) -> bool:
    if error.status not in (400, 413):
        return False
    text = f"{error.code} {error.message}".lower()
    return "context_length" in text or ("context" in text and "length" in text)
