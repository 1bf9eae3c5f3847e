"""The built-in engine's loop: ask, run the calls, append, until an end.

ask ──► reply ──► calls ──► results ──► (stuck? limit?) ──► ask
         │                     ├── plan: shown to people
         │                     ├── ask_user: wait for a person
         │                     └── finish: once shown the whole change, then the end
         └── no call: say so, at most three times
"""

from collections.abc import Callable
from typing import Any

from codexsys_agent.chat import Call, Reply
from codexsys_agent.dialect import FORM
from codexsys_agent.ending import Ending, Exit
from codexsys_agent.limits import Budget
from codexsys_agent.model import Model
from codexsys_agent.report import Events, say
from codexsys_agent.session import Note, Session
from codexsys_agent.stop import Stop
from codexsys_agent.stuck import Stuck, StuckWatch
from codexsys_agent.tools import Done, Tools

_SHOWN = 500


class Loop:
    """Drives one model through one task."""

    def __init__(
        self,
        *,
        model: Model,
        tools: Tools,
        session: Session,
        budget: Budget,
        events: Events,
        stop: Stop,
        watch: StuckWatch,
        review: Callable[[], str],
        after_step: Callable[[Session], None],
        inbox: Callable[[], list[Note]],
    ) -> None:
        self._model = model
        self._tools = tools
        self._session = session
        self._budget = budget
        self._events = events
        self._stop = stop
        self._watch = watch
        self._review = review
        self._after_step = after_step
        self._inbox = inbox
        self.offered: Ending | None = None
        """The end that the model has called while it is shown its change: it stands if no call can be made."""

    def run(self) -> Ending:
        """Work until the model finishes or something ends the run."""
        while True:
            ending = self._bounds()
            if ending:
                return ending
            self._listen()
            self._note(self._budget.reminder(self._session))
            try:
                reply = self._model.ask(self._session.messages)
                self.offered = None
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
        known = self._session.call_ids
        for index, call in enumerate(reply.calls):
            if not call.id or call.id in known:  # some servers begin anew with each reply
                call.id = f"call_{number}_{index}"
            known.add(call.id)
        self._session.replied(reply)
        self._tell_step(number, reply)
        if not reply.calls:
            return self._no_call(reply)
        results = []
        for call in reply.calls:
            done = self._run(number, call)
            results.append(done)
            if done.said and call.name == "ask_user":
                return Ending(Exit.WAITS, "waits", detail=done.said["text"], asked=done.said)
            if done.said and call.name == "finish" and not self.offered:
                return _finished(done.said)
        self._note(self._watch.step(reply.calls, results))
        return None

    def _no_call(self, reply: Reply) -> Ending | None:
        if reply.finish_reason == "length":
            self._note("Your reply was cut at its length limit. Take a shorter step, with a tool.")
        else:
            self._note(
                "No tool was called. Continue with a tool, or call finish. If you cannot call "
                f"tools, write the call as a block:\n{FORM}"
            )
        self._watch.no_call()
        return None

    def _run(self, number: int, call: Call) -> Done:
        if self._stop.requested:
            done = Done("error: not run, the task was stopped", ok=False, seconds=0)
        else:
            done = self._tools.run(call, remaining=self._budget.remaining_seconds)
        if done.said and call.name == "plan":
            self._events.add("agent.plan", **done.said)
        if not (done.said and call.name == "ask_user"):  # what is answered comes later
            self._session.observed(call, self._looked_over(call, done) or done.output)
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

    def _looked_over(self, call: Call, done: Done) -> str:
        """Show the change before the first end, where there is a step left to look at it."""
        if call.name != "finish" or not done.said or done.said["status"] != "done":
            return ""
        if self._session.reviewed or not self._budget.more_steps(self._session, 1):
            return ""
        shown = self._review()
        if shown:
            self._session.reviewed = True
            self.offered = _finished(done.said)
        return shown

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


def _finished(finish: dict[str, Any]) -> Ending:
    blocked = finish["status"] == "blocked"
    return Ending(
        Exit.GAVE_UP if blocked else Exit.FINISHED,
        "blocked" if blocked else "done",
        summary=finish["summary"],
        criteria=tuple(finish["criteria"]),
    )
