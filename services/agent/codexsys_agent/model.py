"""The model as the loop asks it: patient with faults, within its context, in a dialect that its server knows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codexsys_agent.chat import Reply, complete
from codexsys_agent.context import Context
from codexsys_agent.dialect import as_text, calls_in
from codexsys_agent.door import Door
from codexsys_agent.errors import DoorAnswered, DoorRefused, StreamBroken
from codexsys_agent.report import Events, say
from codexsys_agent.stop import Stop

_TRIES = 5
_RETRIED = (408, 409, 425, 429)
_FIRST_WAIT = 0.5


class Overflow(Exception):
    """The conversation does not fit, however much is masked."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the loop bears silence and failure of the model."""

    idle_seconds: float = 300.0
    first_wait: float = _FIRST_WAIT
    patience_seconds: float = 300.0
    close_seconds: float = 9.0


class Model:
    """Asks for the next step until there is a reply, or no hope of one."""

    def __init__(
        self,
        *,
        door: Door,
        name: str,
        tools: list[dict[str, Any]],
        events: Events,
        stop: Stop,
        pace: Pace,
        seconds_left: Callable[[], float],
    ) -> None:
        self._door = door
        self._name = name
        self._tools = tools
        self._events = events
        self._stop = stop
        self._pace = pace
        self._seconds_left = seconds_left
        self._context = Context()
        self._in_text = False
        self._called = False
        """Whether it has called a tool in the usual way, so that its server knows tools."""

    def ask(self, messages: list[dict[str, Any]]) -> Reply:
        """Return the reply; raises what ends a run."""
        wait = self._pace.first_wait
        tries = 1
        while True:
            try:
                return self._read(self._complete(messages))
            except DoorRefused:
                raise
            except DoorAnswered as error:
                if self._adapted(error):
                    continue
                if tries >= _TRIES or not _worth_retrying(error.status):
                    raise
                pause = wait if error.retry_after is None else error.retry_after
                problem: Exception = error
            except StreamBroken as error:
                if self._over() or tries >= _TRIES:
                    raise
                pause, problem = wait, error
            say(f"model: {problem}; trying again in {pause:.1f} s")
            self._stop.wait(min(pause, max(0.0, self._seconds_left())))
            tries, wait = tries + 1, wait * 2
            if self._over():
                raise StreamBroken(str(problem)) from problem

    def _over(self) -> bool:
        return self._stop.requested or self._seconds_left() <= 0

    def _complete(self, messages: list[dict[str, Any]]) -> Reply:
        shown = self._context.view(messages)
        return complete(
            self._door,
            model=self._name,
            messages=as_text(shown, self._tools) if self._in_text else shown,
            tools=[] if self._in_text else self._tools,
            idle=max(0.1, min(self._pace.idle_seconds, self._seconds_left())),
        )

    def _read(self, reply: Reply) -> Reply:
        """Find the calls of a model that only writes text, and speak to it so from now on."""
        if reply.calls:
            self._called = True
            return reply
        reply.calls = calls_in(reply.content)
        if reply.calls and not self._called:
            self._speak_text()
        return reply

    def _adapted(self, error: DoorAnswered) -> bool:
        """Change what is sent, if that may help; raises `Overflow` when nothing does."""
        if _is_overflow(error):
            if not self._context.tighten():
                raise Overflow(error.message) from error
            self._tell("the conversation is too long; older tool outputs are masked")
            return True
        if error.code == "model_refused" and not (self._called or self._in_text):
            self._speak_text()
            return True
        return False

    def _speak_text(self) -> None:
        if not self._in_text:
            self._in_text = True
            self._tell("it does not take tools; they are described and called in plain text")

    def _tell(self, text: str) -> None:
        say(f"model: {text}")
        self._events.add("agent.note", text=text)


def _worth_retrying(status: int) -> bool:
    return status in _RETRIED or status >= 500


def _is_overflow(error: DoorAnswered) -> bool:
    if error.status not in (400, 413):
        return False
    text = f"{error.code} {error.message}".lower()
    return "context_length" in text or ("context" in text and "length" in text)
