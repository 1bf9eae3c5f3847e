"""The conversation so far and what it cost: all that a resume needs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from codexsys_agent.chat import Call, Reply, Usage

_INTERRUPTED = "error: not run, the task was interrupted"


@dataclass(frozen=True, slots=True)
class Note:
    """What the platform has to say; `message` is the id where a person says it."""

    text: str
    message: str = ""


@dataclass(slots=True)
class Session:
    """Messages are only ever appended, so a copy of the lists is a snapshot."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    past: list[dict[str, Any]] = field(default_factory=list)
    """Recorded steps of the conversations before this one, whose changes were rejected."""
    heard: list[str] = field(default_factory=list)
    """Ids of messages that are in the conversation already, whichever sandbox they came to."""
    reviewed: bool = False
    """Whether the model has been shown its whole change once more."""
    extended: bool = False
    """Whether it was given more steps than it had at first."""
    tree_then: str = ""
    """The workspace before the last steps, git's id of it; empty: they have not begun."""
    reminded: bool = False
    """Whether it was told that a limit is near."""
    steps: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def tokens(self) -> int:
        """What counts against the token limit."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def call_ids(self) -> set[str]:
        """Ids of all calls so far."""
        calls = [call for each in self.messages for call in each.get("tool_calls") or []]
        return {call["id"] for call in calls}

    def say(self, role: str, content: str) -> None:
        """Append a message of the platform's side."""
        self._append({"role": role, "content": content}, {})

    def replied(self, reply: Reply) -> None:
        """Append the model's reply and count it."""
        usage = reply.usage or self._estimate(reply)
        self.steps += 1
        self.prompt_tokens += usage.prompt
        self.completion_tokens += usage.completion
        self.cached_tokens += usage.cached
        message: dict[str, Any] = {"role": "assistant", "content": reply.content}
        if reply.calls:
            message["tool_calls"] = [_as_message(call) for call in reply.calls]
        metrics = {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "cached_tokens": usage.cached,
        }
        self._append(message, {"metrics": metrics})

    def observed(self, call: Call, output: str) -> None:
        """Append what a tool call gave."""
        self._append({"role": "tool", "tool_call_id": call.id, "content": output}, {})

    def state(self) -> dict[str, Any]:
        """A snapshot that `resumed` takes back."""
        return {
            "v": 1,
            "messages": list(self.messages),
            "notes": list(self.notes),
            "past": self.past,
            "heard": list(self.heard),
            "reviewed": self.reviewed,
            "extended": self.extended,
            "tree_then": self.tree_then,
            "reminded": self.reminded,
            "steps": self.steps,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
        }

    def _append(self, message: dict[str, Any], note: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251 - a label only
        self.messages.append(message)
        self.notes.append({"at": at, **note})

    def _estimate(self, reply: Reply) -> Usage:
        sent = sum(len(json.dumps(message)) for message in self.messages)
        got = len(reply.content) + sum(len(call.arguments) for call in reply.calls)
        return Usage(prompt=sent // 4, completion=max(1, got // 4))


def resumed(state: dict[str, Any], answers: Sequence[tuple[str, str]]) -> Session:
    """The session of a checkpoint; calls without a result get one, questions what a person answered."""
    messages = list(state.get("messages") or [])
    notes = list(state.get("notes") or [])
    session = Session(
        messages=messages,
        notes=notes[: len(messages)] + [{} for _ in messages[len(notes) :]],
        past=[each for each in state.get("past") or [] if isinstance(each, dict)],
        heard=[str(each) for each in state.get("heard") or []],
        reviewed=state.get("reviewed") is True,
        extended=state.get("extended") is True,
        tree_then=str(state.get("tree_then") or ""),
        reminded=state.get("reminded") is True,
        steps=int(state.get("steps") or 0),
        prompt_tokens=int(state.get("prompt_tokens") or 0),
        completion_tokens=int(state.get("completion_tokens") or 0),
        cached_tokens=int(state.get("cached_tokens") or 0),
    )
    waiting = _untold(messages, answers)
    for call in _unanswered(messages):
        session.observed(call, _result(call, waiting, answers))
    for answer in waiting:  # what was asked after the state was kept
        session.say("user", f"[platform] {answer}")
    return session


def _result(call: Call, waiting: list[str], answers: Sequence[tuple[str, str]]) -> str:
    if call.name != "ask_user" or not answers:
        return _INTERRUPTED
    # None waits where the same question had the same answer before.
    return waiting.pop(0) if waiting else _told(*answers[-1])


def _untold(messages: list[dict[str, Any]], answers: Sequence[tuple[str, str]]) -> list[str]:
    """Answers that the conversation does not hold yet; a question may come in other words than it was put."""
    lines = [_told(question, answer) for question, answer in answers]
    return [line for line in lines if not any(line in str(m.get("content")) for m in messages)]


def _told(question: str, answer: str) -> str:
    return f"To {question!r} the answer is: {answer}"


def _unanswered(messages: list[dict[str, Any]]) -> list[Call]:
    answered = {message.get("tool_call_id") for message in messages}
    last: dict[str, Any] = next((m for m in reversed(messages) if m.get("role") == "assistant"), {})
    return [
        Call(id=call["id"], **call["function"])
        for call in last.get("tool_calls") or []
        if call["id"] not in answered
    ]


def _as_message(call: Call) -> dict[str, Any]:
    # Strict servers refuse a history with broken arguments; the error went to the model already.
    arguments = call.arguments or "{}"
    try:
        json.loads(arguments)
    except ValueError:
        arguments = json.dumps({"unparsed": arguments[:2000]})
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}
