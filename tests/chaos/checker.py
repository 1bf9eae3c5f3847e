"""The invariants, judged from outside: nothing here knows the product's code, only its promises."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.chaos.evidence import Evidence, Row
from tests.chaos.history import UNKNOWN, Entry, History
from typing_extensions import override

TERMINAL = {"succeeded", "failed", "cancelled", "timed_out"}
ENDS = {f"task.{status}" for status in TERMINAL}
READERS = 8
ALWAYS = {"prompt.txt", "diff.patch", "report.json", "report.md", "evidence.zip"}


@dataclass(frozen=True)
class Broken:
    """One promise that was not kept."""

    invariant: str
    whom: str
    detail: str

    @override
    def __str__(self) -> str:
        return f"{self.invariant}: {self.whom}: {self.detail}"


def unsettled(evidence: Evidence) -> list[str]:
    """Return what still moves or was left behind; empty once the platform has come to rest."""
    rows = evidence.rows
    found = [f"task {row['id']} is {row['status']}" for row in rows["tasks"] if not _over(row)]
    found += [
        f"sandbox {row['id']} is {row['state']}, destroyed {row['destroyed_at']}"
        for row in rows["sandboxes"]
        if row["state"] != "ended" or row["destroyed_at"] is None
    ]
    found += [
        f"result of {row['id']} is unpublished" for row in rows["tasks"] if row["result_due_at"]
    ]
    return found + [f"left behind: {each}" for each in evidence.left]


def broken(evidence: Evidence, history: History) -> list[Broken]:
    """Judge what has come to rest."""
    found: list[Broken] = [
        Broken("everything comes to rest", each.split()[1], each) for each in unsettled(evidence)
    ]
    for judge in (_accepted, _keys, _answers, _final, _seen_logs, _seen_events):
        found += judge(evidence, history)
    for row in evidence.rows["tasks"]:
        for judge_task in JUDGES:
            found += [Broken(*each) for each in judge_task(evidence, row)]
    return found


def adoptions(evidence: Evidence, task_id: str) -> list[Row]:
    """Return the events by which somebody carried on with an agent that lived."""
    return [row for row in _taken_over(evidence, task_id) if _said(row)["status"] == "running"]


def restarts(evidence: Evidence, task_id: str) -> list[Row]:
    """Return the events by which an attempt was queued again, to go on from its last checkpoint."""
    return [row for row in _taken_over(evidence, task_id) if _said(row)["status"] != "running"]


def _taken_over(evidence: Evidence, task_id: str) -> Iterator[Row]:
    yield from (row for row in evidence.of("events", task_id) if row["type"] == "task.taken_over")


def _said(event: Row) -> Row:
    said: Row = json.loads(event["data"])
    return said


def _over(row: Row) -> bool:
    return row["status"] in TERMINAL


def _ops(evidence: Evidence) -> dict[str, list[str]]:
    """Return the tasks that were made of each wish."""
    made: dict[str, list[str]] = defaultdict(list)
    for row in evidence.rows["task_labels"]:
        if row["name"] == "op":
            made[row["value"]].append(row["task_id"])
    return made


def _taken(history: History) -> Iterator[tuple[Entry, str]]:
    for entry in history.of("submit"):
        if entry.result == 202:
            yield entry, entry.data["id"]


def _accepted(evidence: Evidence, history: History) -> Iterator[Broken]:
    there = {row["id"] for row in evidence.rows["tasks"]}
    for entry, task_id in _taken(history):
        if task_id not in there:
            yield Broken("every accepted task exists", entry.op, f"{task_id} is not there")


def _keys(evidence: Evidence, history: History) -> Iterator[Broken]:
    name = "idempotency keys are honoured"
    answers: dict[str, set[str]] = defaultdict(set)
    for entry, task_id in _taken(history):
        answers[entry.op].add(task_id)
    for op, made in _ops(evidence).items():
        if len(made) > 1:
            yield Broken(name, op, f"made {len(made)} tasks: {made}")
        if answers[op] - set(made):
            yield Broken(name, op, f"was told {answers[op]}, the rows say {made}")


def _answers(_evidence: Evidence, history: History) -> Iterator[Broken]:
    """Every answer is a good one, or a 503 that says when to come back."""
    for entry in history.entries:
        if entry.result == UNKNOWN or (isinstance(entry.result, int) and entry.result < 400):
            continue
        if entry.result == 409 and entry.operation in ("submit", "answer"):
            continue  # the first of two with the same key is still uploading; it was answered before
        whom = f"{entry.operation} of {entry.op} at {entry.sent:.1f} s"
        if entry.result != 503:
            said = entry.data.get("said")
            yield Broken("no answer is an accident", whom, f"{entry.result} {said}")
        elif not entry.data.get("retry_after"):
            yield Broken("503 says when to come back", whom, str(entry.data.get("said")))


def _final(evidence: Evidence, history: History) -> Iterator[Broken]:
    now = {row["id"]: row["status"] for row in evidence.rows["tasks"]}
    for entry in history.entries:
        told = entry.data.get("status")
        if told in TERMINAL and now.get(entry.data["id"]) != told:
            detail = f"was {told} at {entry.answered:.1f} s and is {now.get(entry.data['id'])}"
            yield Broken("a terminal status is never left", entry.data["id"], detail)


def _one_end(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    name, task_id = "one terminal status each", task["id"]
    ends = [row for row in evidence.of("events", task_id) if row["type"] in ENDS]
    if len(ends) != 1:
        yield name, task_id, f"{len(ends)} ends: {[row['type'] for row in ends]}"
    elif ends[0]["seq"] != task["end_seq"] or ends[0]["type"] != f"task.{task['status']}":
        yield name, task_id, f"{task['status']} at {task['end_seq']}, the event says {ends[0]}"
    open_ = [row for row in evidence.of("attempts", task_id) if row["state"] != "ended"]
    if _over(task) and open_:
        yield name, task_id, f"the task is over, an attempt is {open_[0]['state']}"


def _as_asked(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    """A task ends as its client wanted, or as one that was to be cancelled."""
    wants = evidence.label(task["id"], "wants")
    cancelled = any(row["cancel_at"] for row in evidence.of("attempts", task["id"]))
    if wants is None or task["end_reason"] == wants:
        return
    if task["status"] != "cancelled" or not cancelled:
        detail = f"wanted {wants}, ended {task['end_reason']}: {task['end_detail']}"
        yield "a task ends as it was asked to", task["id"], detail


def _adopted(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    """Who carries on with an agent finds it in its sandbox, and starts no other one."""
    name, task_id = "an adopted agent goes on where it was", task["id"]
    agents = [row for row in evidence.of("sandboxes", task_id) if row["role"] == "agent"]
    for event in adoptions(evidence, task_id):
        there = [
            row
            for row in agents
            if row["attempt"] == event["attempt"]
            and row["created_at"] <= event["at"]
            and (row["ended_at"] is None or row["ended_at"] >= event["at"])
        ]
        if len(there) != 1:
            yield name, task_id, f"at event {event['seq']} there were {len(there)} of {agents}"
    events = evidence.of("events", task_id)
    for number in {row["attempt"] for row in agents}:
        made = sum(row["attempt"] == number for row in agents)
        claims = sum(row["type"] == "task.running" and row["attempt"] == number for row in events)
        if made > claims:
            yield name, task_id, f"attempt {number} was claimed {claims} times, made {made} agents"


def _fenced(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    name, task_id = "no stale write is accepted", task["id"]
    attempts = {row["number"]: row for row in evidence.of("attempts", task_id)}
    last = attempts.get(max(attempts, default=0))
    if last is None:
        yield name, task_id, "there is no attempt"
        return
    if (task["attempt"], task["end_fence"]) != (last["number"], last["fence"]):
        yield name, task_id, f"ended by {task['attempt']}/{task['end_fence']}, row {last}"
    writer = f"/a{last['number']}-f{last['fence']}/"
    for row in evidence.of("artifacts", task_id):
        if writer not in row["object"]:
            yield name, task_id, f"{row['object']} is not of {writer}"
    owners = {
        row["id"]: (row["attempt"], row["fence"]) for row in evidence.of("sandboxes", task_id)
    }
    for stream, chunks in _streams(evidence, task_id).items():
        order = [owners[row["sandbox_id"]] for row in chunks if row["sandbox_id"] in owners]
        if order != sorted(order):
            yield name, task_id, f"{stream}: lines of an earlier owner after a later one's: {order}"


def _events(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    rows = sorted(evidence.of("events", task["id"]), key=lambda row: row["seq"])
    numbers = [row["seq"] for row in rows]
    name = "events are numbered without a gap"
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) != task["seq"]:
        yield name, task["id"], f"{numbers}, the task says {task['seq']}"
    if _over(task) and rows and rows[-1]["type"] not in ENDS:
        yield "the end is the last event", task["id"], str([row["type"] for row in rows])


def _streams(evidence: Evidence, task_id: str) -> dict[str, list[Row]]:
    streams: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(evidence.of("log_chunks", task_id), key=lambda row: int(row["start"])):
        streams[row["stream"]].append(row)
    return streams


def text_of(evidence: Evidence, task_id: str, stream: str) -> bytes:
    """Return a stream as its chunks hold it."""
    return b"".join(bytes(row["text"]) for row in _streams(evidence, task_id)[stream])


def _logs(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    name, task_id = "log offsets have no gap and no repeat", task["id"]
    sizes = {row["stream"]: row for row in evidence.of("log_streams", task_id)}
    for stream, chunks in _streams(evidence, task_id).items():
        at = 0
        for row in chunks:
            if row["start"] != at:
                yield name, task_id, f"{stream}: a chunk at {row['start']}, expected {at}"
            at = row["start"] + len(row["text"])
        if sizes[stream]["size"] != at:
            yield name, task_id, f"{stream}: {at} bytes, the row says {sizes[stream]['size']}"
        numbers: dict[str, list[int]] = defaultdict(list)
        for row in chunks:
            numbers[row["sandbox_id"]].append(row["number"])
        for sandbox_id, each in numbers.items():
            # A door counts; a worker's numbers say which part of the output a chunk is the end of.
            whole = (
                list(range(1, len(each) + 1)) if sandbox_id.startswith("door_") else sorted({*each})
            )
            if each != whole:
                yield name, task_id, f"{stream}: {sandbox_id} sent {each}"
    yield from _torn(evidence, task)


def _torn(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    """Look for numbered lines that are missing or doubled: each sandbox's count up from 1, whoever owned it."""
    name, task_id = "log lines have no seam", task["id"]
    texts: dict[str, list[bytes]] = defaultdict(list)
    for row in _streams(evidence, task_id)["agent"]:
        texts[row["sandbox_id"].removeprefix("door_")].append(bytes(row["text"]))
    counts = {}
    for sandbox, pieces in texts.items():
        words = (line.split(" ") for line in b"".join(pieces).decode().splitlines())
        numbers = [int(word[1]) for word in words if word[0] == "line" and len(word) == 2]
        counts[sandbox] = len(numbers)
        if numbers != list(range(1, len(numbers) + 1)):
            last = next(last for last, number in enumerate(numbers) if number != last + 1)
            yield name, task_id, f"{sandbox}: after line {last} came line {numbers[last]}"
    wanted = int(evidence.label(task_id, "lines") or 0)
    if task["status"] == "succeeded" and wanted and wanted not in counts.values():
        yield name, task_id, f"{wanted} lines were printed, the log has {counts}"


def _sandboxes(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    roles: dict[Any, list[Row]] = defaultdict(list)
    for row in evidence.of("sandboxes", task["id"]):
        roles[row["attempt_id"], row["role"]].append(row)
    for each in roles.values():
        each.sort(key=lambda row: row["created_at"])
        for first, second in pairwise(each):
            if first["ended_at"] is None or second["created_at"] < first["ended_at"]:
                detail = f"{first['id']} until {first['ended_at']}, {second['id']} from {second['created_at']}"
                yield "one live sandbox for an attempt and a role", task["id"], detail


def _artifacts(evidence: Evidence, task: Row) -> Iterator[tuple[str, str, str]]:
    rows = evidence.of("artifacts", task["id"])
    missing = ALWAYS - {row["name"] for row in rows}
    if task["status"] == "succeeded" and missing:
        yield "a succeeded task has its artifacts", task["id"], f"without {sorted(missing)}"
    for row in rows:
        if evidence.objects.get(row["object"]) != row["size"]:
            found = evidence.objects.get(row["object"])
            yield "artifacts are readable and equal", task["id"], f"{row['name']}: size {found}"


def _seen_logs(evidence: Evidence, history: History) -> Iterator[Broken]:
    """What a client was shown stands at the same place for ever."""
    whole: dict[str, bytes] = {}
    for entry in history.of("log"):
        if entry.result != 200:
            continue
        task_id, after = entry.data["task"], entry.data["params"]["after"]
        if task_id not in whole:
            whole[task_id] = text_of(evidence, task_id, "agent")
        seen = entry.data["text"].encode()
        if whole[task_id][after : after + len(seen)] != seen:
            detail = (
                f"{len(seen)} bytes from {after} on, seen at {entry.answered:.1f} s, are others now"
            )
            yield Broken("acknowledged log bytes stand", task_id, detail)


def _seen_events(evidence: Evidence, history: History) -> Iterator[Broken]:
    for entry in history.of("events"):
        if entry.result != 200:
            continue
        after, seen = entry.data["params"]["after"], entry.data["events"]
        rows = {row["seq"]: row["type"] for row in evidence.of("events", entry.data["task"])}
        if [number for number, _ in seen] != list(range(after + 1, after + 1 + len(seen))):
            yield Broken("events are seen in order", entry.data["task"], f"{seen} after {after}")
        if any(rows.get(number) != kind for number, kind in seen):
            yield Broken("seen events stand", entry.data["task"], str(seen))


def unequal_artifacts(evidence: Evidence, read: Callable[[str], tuple[int, str]]) -> list[Broken]:
    """Read every artifact that there is, several at a time, and compare it with its row."""
    rows = [row for row in evidence.rows["artifacts"] if row["object"] in evidence.objects]
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(read, (row["object"] for row in rows))
        return [
            Broken("artifacts are readable and equal", row["task_id"], row["name"])
            for row, (size, sha256) in zip(rows, found, strict=True)
            if (size, sha256) != (row["size"], row["sha256"])
        ]


def wrong_results(evidence: Evidence, *, wiped_at: Any) -> list[Broken]:
    """Every task that ended since Kafka was last wiped is on `codex-results`, all copies equal."""
    copies: dict[str, list[Row]] = defaultdict(list)
    for record in evidence.results:
        copies[record["task_id"]].append(record)
    found = []
    for task in filter(_over, evidence.rows["tasks"]):
        records = copies[task["id"]]
        if not records and (wiped_at is None or task["finished_at"] > wiped_at):
            found.append(Broken("every end is announced", task["id"], "no record"))
        if any(record != records[0] for record in records):
            found.append(Broken("all copies of a result are equal", task["id"], str(records)))
        if records and (records[0]["status"], records[0]["seq"]) != (
            task["status"],
            task["end_seq"],
        ):
            found.append(Broken("a result says what the row says", task["id"], str(records[0])))
    return found


JUDGES: tuple[Callable[[Evidence, Row], Iterator[tuple[str, str, str]]], ...] = (
    _one_end,
    _as_asked,
    _fenced,
    _events,
    _logs,
    _sandboxes,
    _adopted,
    _artifacts,
)


def ends_of(evidence: Evidence) -> Counter[str]:
    """Count the end reasons."""
    return Counter(str(row["end_reason"]) for row in evidence.rows["tasks"])
