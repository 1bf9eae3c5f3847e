"""Turns the Task of the REST API into what the pages say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from codexsys_api.pages import text

Json = Mapping[str, Any]

_BAD = frozenset({"tests_failed", "tests_tampered"})
_FEW = 5
TERMINAL = frozenset({"succeeded", "failed", "cancelled", "timed_out"})
STATUSES = {
    "queued": "Queued",
    "running": "Running",
    "suspended": "Needs an answer",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "timed_out": "Timed out",
}
VERDICTS = {
    "verified": "Verified",
    "unverified": "Unverified",
    "tests_failed": "Tests failed",
    "tests_tampered": "Tests tampered",
    "no_change": "No change",
    "answer": "Answer",
}
_CLAIMS = {
    "verified": "This shows that the checks pass. It cannot show that the change is not "
    "special-cased to them: read the diff.",
    "unverified": "Nothing here says that the change is right: read the diff and run your own checks.",
    "tests_failed": "The change is kept, so that you can see how far it came.",
    "tests_tampered": "The change touches what checks it. Paths it may touch are named with may_change.",
}
_PROOF = (
    ("Clean tree, fresh sandbox", "the base with diff.patch, network closed"),
    ("No test was lost", "every test that passed before the change ran and passed after it"),
    ("A planted failing test was caught", "reported as the one failure"),
)


@dataclass(frozen=True, slots=True)
class State:
    """A status or verdict: the word, and the name that decides shape and colour."""

    name: str
    word: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A number with its limit; `used` and `limit` draw a meter where both are there."""

    name: str
    value: str
    more: str = ""
    used: float | None = None
    limit: float | None = None
    insertions: int = 0
    deletions: int = 0
    since: str = ""
    """Where the value is a time that grows: when it was none."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One sentence that a verdict stands on; `good` is None where it is said without a judgement."""

    what: str
    more: str
    good: bool | None


@dataclass(frozen=True, slots=True)
class Counts:
    """One row of results before and after the change."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Headline:
    """The box that is seen first: what is the matter, and what it stands on."""

    state: State
    sentence: str
    advice: str
    claim: str
    counts: Sequence[Counts]
    proof: Sequence[Proof]


def is_terminal(task: Json) -> bool:
    """Say whether nothing can change any more."""
    return task["status"] in TERMINAL


def status(task: Json) -> State:
    """Say the status."""
    name = str(task["status"])
    return State(name, STATUSES.get(name, name))


def verdict(task: Json) -> State | None:
    """Say the verdict; an explanation that succeeded has an answer instead."""
    name = str(task.get("verdict") or "")
    if not name and task.get("mode") == "explain" and task["status"] == "succeeded":
        name = "answer"
    return State(name, VERDICTS.get(name, name)) if name else None


def title(task: Json) -> str:
    """Say what was asked for, in one line."""
    return text.title(task.get("prompt") or "", task["id"])


def source(task: Json) -> tuple[str, str]:
    """Name the source and its ref, short."""
    given = task.get("source") or {}
    if git := given.get("git"):
        return text.repository(git.get("url") or ""), git.get("ref") or "default branch"
    if "zip" in given:
        return (given["zip"] or {}).get("filename") or "zip file", ""
    if "task" in given:
        return "result of an earlier task", str(given["task"])
    return "source", ""


def source_in_full(task: Json) -> str:
    """Name the source with its whole address, but without a password."""
    git = (task.get("source") or {}).get("git")
    if not git:
        return " ".join(part for part in source(task) if part)
    ref = git.get("ref")
    return text.without_password(git.get("url") or "") + (f" at {ref}" if ref else "")


def under_status(task: Json) -> str:
    """Say the small line below a status."""
    reason = task.get("end_reason") or {}
    if is_terminal(task):
        return str(reason.get("code") or "")
    if task["status"] == "running":
        return str(task.get("phase") or "starting")
    place = task.get("queue_position")
    return f"no. {place} in queue" if place else ""


def in_list(task: Json, now: datetime) -> str:
    """Say the small line below a status in a list: as `under_status`, and since or until when."""
    said = under_status(task)
    if task["status"] == "running" and (begun := task.get("started_at")):
        return f"{said}, {text.age(begun, now)}"
    if task["status"] == "suspended":
        deadlines = [each["deadline"] for each in open_questions(task) if each.get("deadline")]
        return f"until {text.soon(min(deadlines))}" if deadlines else said
    return said


def open_questions(task: Json) -> list[Json]:
    """Return the questions that wait for an answer."""
    return [each for each in task.get("questions") or () if each.get("answer") is None]


def without_answers(asked: list[Json]) -> str:
    """Say what happens to a task when its open questions get no answer in time."""
    if not all(each.get("default") for each in asked):
        return "the task ends."
    return f"it takes the {'defaults' if len(asked) > 1 else 'default'}."


def under_verdict(task: Json) -> str:
    """Say the small line below a verdict in a list: what it stands on."""
    checks = task.get("checks") or {}
    before, after = checks.get("before") or {}, checks.get("after") or {}
    passed, failed = int(after.get("passed") or 0), int(after.get("failed") or 0)
    if task.get("verdict") == "verified" and passed:
        new = passed - int(before.get("passed") or 0)
        return text.plural(passed, "test") + (f", {new:,} more" if before and new > 0 else "")
    if task.get("verdict") == "tests_failed" and failed:
        return f"{failed:,} of {sum(after.values()):,}"
    return ""


def clock(stamp: str) -> str:
    """Say the time of day of an event; nothing where the stamp is none."""
    try:
        found = text.moment(stamp)
    except ValueError:
        return ""
    return f"{found:%H:%M:%S}" if found else ""


def elapsed(task: Json, now: datetime) -> float | None:
    """Count the seconds since the task began, until it ended or until now."""
    begun = text.moment(task.get("started_at"))
    ended = text.moment(task.get("finished_at"))
    return max(0.0, ((ended or now) - begun).total_seconds()) if begun else None


def _counts(checks: Json) -> list[Counts]:
    before, after = checks.get("before") or {}, checks.get("after") or {}
    names = list(dict.fromkeys(["passed", "failed", *before, *after]))
    if not before and not after:
        return []
    return [Counts(name.capitalize(), before.get(name), after.get(name)) for name in names]


def evidence(task: Json) -> dict[str, Any]:
    """Gather what the platform says of its checks, wherever the body carries it."""
    checks = task.get("checks") or {}
    return {**checks, **(checks.get("evidence") or {}), **(task.get("evidence") or {})}


def _proof(task: Json, checks: Json) -> list[Proof]:
    """List what a verdict stands on: for `verified` what its rule demands, else what was found."""
    name = task.get("verdict")
    found: list[Proof] = []
    if name == "verified":
        total = sum((checks.get("after") or {}).values())
        found = [Proof(what, more, good=True) for what, more in _PROOF]
        found.append(
            Proof("Every result read, test by test", f"{total:,} in the report", good=True)
        )
    elif sentences := checks.get("sentences"):
        good = False if name in _BAD else None
        found = [Proof(str(said), "", good) for said in sentences]
    else:
        found = _names(checks, "broken", "broken") + _names(checks, "missing", "no longer there")
    return found + _names(checks, "fixed", "fixed") + _to_look_at(checks)


def _to_look_at(checks: Json) -> list[Proof]:
    """List what is flagged in the change: neither good nor bad."""
    found = []
    for flag in (checks.get("flags") or ())[:_FEW]:
        line = f":{flag['line']}" if flag.get("line") else ""
        found.append(Proof(f"Look at: {flag['says']}", f"{flag.get('path', '')}{line}", None))
    return found


def _names(checks: Json, key: str, word: str) -> list[Proof]:
    names = [str(name) for name in checks.get(key) or ()]
    more = ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW:,} more" if names[_FEW:] else "")
    what = f"{text.plural(len(names), 'test')} {word}"
    return [Proof(what, more, good=key == "fixed")] if names else []


def _verdict_sentence(name: str, checks: Json) -> str:
    before, after = checks.get("before") or {}, checks.get("after") or {}
    passed, failed = int(after.get("passed") or 0), int(after.get("failed") or 0)
    if name == "verified":
        grown = passed - int(before.get("passed") or 0)
        more = f", {grown:,} more than before" if before and grown > 0 else ""
        return f"{text.plural(passed, 'test')} passed and none failed{more}."
    if name == "tests_failed" and failed:
        failing = f"{text.plural(failed, 'test')} {'fails' if failed == 1 else 'fail'}"
        return f"{failing} with the change, {passed:,} passed."
    return {
        "unverified": "There is a change, but the platform could not prove it.",
        "tests_failed": "The checks do not pass with the change.",
        "tests_tampered": "The change alters tests or the set-up of the checks.",
        "no_change": "The agent ended without a change.",
        "answer": "The question was answered; nothing was changed.",
    }.get(name, "")


def _open_sentence(task: Json) -> str:
    if task["status"] == "queued":
        place = under_status(task)
        return f"Waits for a worker{', ' + place if place else ''}."
    if task["status"] == "suspended":
        several = len(open_questions(task)) > 1
        asked = (
            "some questions and waits for the answers"
            if several
            else "a question and waits for the answer"
        )
        return f"The agent asked {asked}."
    return "No verdict before the checks have run."


def headline(task: Json) -> Headline:
    """Make the box at the top of a task."""
    checks = evidence(task)
    reason = task.get("end_reason") or {}
    found = verdict(task)
    cause = "" if reason.get("code") in (None, "finished") else str(reason.get("cause") or "")
    if found:
        more = "" if checks.get("sentences") else cause
        sentence = " ".join(part for part in (_verdict_sentence(found.name, checks), more) if part)
    else:
        sentence = cause if is_terminal(task) else _open_sentence(task)
    return Headline(
        state=found or status(task),
        sentence=sentence,
        advice=str(reason.get("next") or "") if cause else "",
        claim=_CLAIMS.get(found.name, "") if found else "",
        counts=_counts(checks),
        proof=_proof(task, checks),
    )


def _money(usage: Json) -> Fact:
    used, limit = float(usage.get("cost_usd") or 0), usage.get("limit_usd")
    more = f"of {text.money(limit)}" if limit else ""
    return Fact("Cost", text.money(used), more, used, float(limit) if limit else None)


def _spent(task: Json) -> list[Fact]:
    usage, limits = task.get("usage") or {}, task.get("limits") or {}
    calls, most = int(usage.get("calls") or 0), limits.get("calls")
    tokens = int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0)
    return [
        _money(usage),
        Fact("Tokens", f"{tokens[0]:,}", f"in, {tokens[1]:,} out"),
        Fact("Model calls", f"{calls:,}", f"of {most:,}" if most else "", calls, most),
    ]


def _change(change: Json) -> Fact:
    files = text.plural(int(change.get("files") or 0), "file")
    insertions, deletions = int(change.get("insertions") or 0), int(change.get("deletions") or 0)
    return Fact("Change", files, insertions=insertions, deletions=deletions)


def facts(task: Json, now: datetime, *, with_cost: bool = True) -> list[Fact]:
    """List the numbers of a task; `with_cost` off leaves out all that money can be read from."""
    limits, change = task.get("limits") or {}, task.get("diff") or {}
    seconds, most = elapsed(task, now), limits.get("wall_seconds")
    of = f"of {text.duration(most)}" if most else ""
    took = text.duration(seconds) if seconds is not None else text.NOTHING
    found = _spent(task) if with_cost else []
    since = "" if is_terminal(task) else str(task.get("started_at") or "")
    found.insert(min(1, len(found)), Fact("Time", took, of, seconds, most, since=since))
    found.append(_change(change) if change else Fact("Change", text.NOTHING))
    tries = limits.get("attempts")
    found.append(Fact("Attempt", str(task.get("attempt") or 1), f"of {tries}" if tries else ""))
    return found
