"""What was said between the person, the agent, the model and the platform, step by step, in order of time.

`trajectory.json` is written in a sandbox: whatever it holds, it becomes odd steps and never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codexsys_api.pages import log, text
from codexsys_api.pages.diff import Row
from codexsys_api.pages.sides import Line, unified
from codexsys_api.pages.views import is_terminal

MOST_STEPS = 1000
MOST_CHARACTERS = 64 * 1024
SHOWN_LINES = 12
_TOLD = "[a message from the person who asked]"
"""Starts what the platform itself has kept, and shows as it was sent."""
_ICONS = {"bash": "term", "edit": "edit", "write": "edit", "finish": "check", "read": "search"}
_VERDICTS = frozenset({"verified", "unverified", "tests_failed", "tests_tampered", "no_change"})

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing the agent did: what, what came of it, and of an edit the lines."""

    head: str
    shown: Sequence[log.Line] = ()
    more: Sequence[log.Line] = ()
    lines: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the conversation; `state` colours what the platform or a person said."""

    title: str
    at: str = ""
    number: int | None = None
    icon: str = "term"
    state: str = ""
    words: str = ""
    notes: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()
    folded: tuple[str, ...] = ()
    """What the model was given first: long, and closed at first."""


def steps(
    task: Json, trajectory: bytes, events: Sequence[Json], messages: Sequence[Json] = ()
) -> list[Step]:
    """Put together what the agent left behind, or what it has reported so far, and what others said."""
    said = list(_recorded(trajectory)) or list(_reported(events))
    asked = {str(each.get("id")): each for each in task.get("questions") or ()}
    others = [step for event in events if (step := _of_platform(event, asked))]
    others += [_of_message(each, over=is_terminal(task)) for each in messages]
    prompt = Step("Prompt", str(task.get("created_at") or ""), icon="user")
    given = tuple(each.words for each in said if each.state == "given")
    first = replace(prompt, words=_text(task.get("prompt")), folded=given)
    rest = sorted(
        [*(each for each in said if each.state != "given"), *others],
        key=lambda step: _moment(step.at),
    )
    return [first, *rest]


def _moment(stamp: str) -> float:
    try:
        found = text.moment(stamp)
    except ValueError:
        return 0.0
    return found.timestamp() if found else 0.0


def _text(value: object) -> str:
    """Take a text, shortened where nobody would read on."""
    found = value if isinstance(value, str) else "" if value is None else json.dumps(value)[:2000]
    left = len(found) - MOST_CHARACTERS
    return f"{found[:MOST_CHARACTERS]}\n… ({left:,} characters more)" if left > 0 else found


def _list(value: object) -> list[Json]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict)]


def _recorded(trajectory: bytes) -> Iterator[Step]:
    try:
        found = json.loads(trajectory or b"{}")
    except (ValueError, RecursionError):
        return
    number = 0
    for each in _list(found.get("steps") if isinstance(found, dict) else None)[:MOST_STEPS]:
        if each.get("source") == "agent":
            number += 1
            yield _of_agent(number, each)
        elif not _text(each.get("message")).startswith(_TOLD):
            state = "" if number else "given"
            title = "Told by the platform" if number else "Given first"
            yield Step(title, _text(each.get("timestamp")), icon="info", state=state, words=_text(each.get("message")))  # fmt: skip


def _of_agent(number: int, step: Json) -> Step:
    calls = _list(step.get("tool_calls"))
    observed = step.get("observation")
    results = {
        _text(each.get("source_call_id")): _text(each.get("content"))
        for each in _list(observed.get("results") if isinstance(observed, dict) else None)
    }
    acts = tuple(_act(call, results.get(_text(call.get("tool_call_id")), "")) for call in calls)
    names = [_text(call.get("function_name")) for call in calls]
    words = _text(step.get("message"))
    return Step(
        title=text.title(acts[0].head if acts else words, "Says"),
        at=_text(step.get("timestamp")),
        number=number,
        icon=_ICONS.get(names[0] if names else "", "answer" if not names else "term"),
        words=words,
        notes=_metrics(step.get("metrics")),
        acts=acts,
    )


def _metrics(found: object) -> tuple[str, ...]:
    given = found if isinstance(found, dict) else {}
    numbers = [given.get("prompt_tokens"), given.get("completion_tokens")]
    if not all(isinstance(each, int) for each in numbers):
        return ()
    return (f"{numbers[0]:,} in, {numbers[1]:,} out",)


def _act(call: Json, output: str) -> Act:
    name = _text(call.get("function_name"))
    arguments = call.get("arguments")
    given: Json = arguments if isinstance(arguments, dict) else {}
    path = _text(given.get("path"))
    lines: Sequence[Line] = ()
    if name == "bash":
        head = f"$ {_text(given.get('command'))}"
    elif name in {"edit", "write"} and path:
        head, lines = f"{name} {path}", _edited(path, given)
    elif name == "finish":
        head, output = "finish", _text(given.get("summary")) or output
    else:
        head = f"{name} {path or json.dumps(dict(given))[:400]}"
    found = log.read(output).lines
    return Act(head, found[:SHOWN_LINES], found[SHOWN_LINES:], lines)


def _edited(path: str, given: Json) -> Sequence[Line]:
    before = _text(given.get("old")).splitlines()
    after = _text(given.get("new") or given.get("content")).splitlines()
    rows = [Row("del", None, None, line) for line in before[:200]]
    rows += [Row("add", None, None, line) for line in after[:200]]
    return unified(rows, path)


def _reported(events: Sequence[Json]) -> Iterator[Step]:
    """Give the steps of an agent that is still at work, from its events: without any output."""
    acts: dict[object, list[Act]] = {}
    for event in events:
        if event.get("type") == "agent.tool":
            data = event.get("data") or {}
            took = data.get("seconds")
            head = f"{_text(data.get('tool'))} {_text(data.get('summary'))}"
            acts.setdefault(data.get("step"), []).append(Act(f"{head} ({took} s)"))
    for event in events:
        data = event.get("data") or {}
        number = data.get("step")
        if event.get("type") == "agent.step" and isinstance(number, int):
            done = tuple(acts.get(number, ()))
            words = _text(data.get("text"))
            title = text.title(done[0].head if done else words, "Says")
            yield Step(title, _text(event.get("at")), number, words=words, acts=done)


def _of_message(message: Json, *, over: bool) -> Step:
    unread = "never read" if over else "not read yet"
    return Step(
        title="Message",
        at=_text(message.get("created_at")),
        icon="user",
        state="info",
        words=_text(message.get("text")),
        notes=("read by the agent" if message.get("delivered_at") else unread,),
    )


def _of_platform(event: Json, asked: Mapping[str, Json]) -> Step | None:
    """Give what a person or the platform said, as one step."""
    data, at = event.get("data") or {}, _text(event.get("at"))
    kind = event.get("type")
    question = asked.get(str(data.get("question")), {})
    if kind == "task.question":
        return Step(
            "Question", at, icon="answer", state="suspended", words=_text(question.get("text"))
        )
    if kind == "task.preflight" and data.get("outcome") != "asks":
        title = "Clear enough to begin" if data.get("outcome") == "ready" else "Begins unasked"
        return Step(title, at, icon="answer", state="info", words=_text(data.get("detail")))
    if kind == "task.answered":
        return Step("Answer", at, icon="user", state="info", words=_text(question.get("answer")))
    if kind == "verify.result":
        verdict = _text(data.get("verdict"))
        state = verdict if verdict in _VERDICTS else "info"
        word = verdict.replace("_", " ") or "ran"
        return Step(f"Checks: {word}", at, icon=state, state=state, words=_counted(data))
    if kind == "task.attempt_ended":
        return Step("The attempt ended; the next one goes on", at, icon="retry", state="info")
    return None


def _counted(data: Json) -> str:
    found = []
    for name in ("before", "after"):
        counts = data.get(name)
        if isinstance(counts, dict) and counts:
            found.append(f"{name.capitalize()}: " + ", ".join(f"{n} {word}" for word, n in counts.items()))  # fmt: skip
    return "\n".join(found)
