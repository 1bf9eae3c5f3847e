"""The checker sees what it is there for: each lie told to it is found by its name."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import checker
from tests.chaos.evidence import TABLES, Evidence
from tests.chaos.history import Entry, History

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TASK, BOX = "task_a", "sbx_a"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def event(seq: int, kind: str, seconds: float, **data: Any) -> dict[str, Any]:
    return {
        "task_id": TASK,
        "seq": seq,
        "type": kind,
        "attempt": 1,
        "at": at(seconds),
        "data": json.dumps(data),
    }


def chunk(start: int, number: int, text: bytes, sandbox: str = BOX) -> dict[str, Any]:
    return {
        "task_id": TASK,
        "stream": "agent",
        "start": start,
        "sandbox_id": sandbox,
        "number": number,
        "text": text,
    }


def sandbox(name: str, begun: float, ended: float, fence: int = 1) -> dict[str, Any]:
    return {
        "id": name,
        "task_id": TASK,
        "attempt_id": "att_a",
        "attempt": 1,
        "fence": fence,
        "role": "agent",
        "state": "ended",
        "created_at": at(begun),
        "ended_at": at(ended),
        "destroyed_at": at(ended),
    }


def truth() -> Evidence:
    """A task whose owner died: it was adopted, went on where it was, and succeeded."""
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    rows["tasks"] = [
        {
            "id": TASK,
            "status": "succeeded",
            "end_reason": "finished",
            "end_detail": "",
            "attempt": 1,
            "seq": 4,
            "end_seq": 4,
            "end_fence": 2,
            "finished_at": at(20),
            "result_due_at": None,
        }
    ]
    rows["attempts"] = [
        {"task_id": TASK, "number": 1, "fence": 2, "state": "ended", "cancel_at": None}
    ]
    rows["sandboxes"] = [sandbox(BOX, 1, 19)]
    rows["events"] = [
        event(1, "task.queued", 0),
        event(2, "task.running", 0.5),
        event(3, "task.taken_over", 10, status="running"),
        event(4, "task.succeeded", 20),
    ]
    rows["log_streams"] = [{"task_id": TASK, "stream": "agent", "size": 21}]
    rows["log_chunks"] = [chunk(0, 1, b"line 1\nline 2\n"), chunk(14, 2, b"line 3\n")]
    names = {"op": "op-1", "wants": "finished", "lines": "3"}
    rows["task_labels"] = [{"task_id": TASK, "name": n, "value": v} for n, v in names.items()]
    objects = {f"codexsys-logs/logs/{TASK}/a1-f2/{name}": 1 for name in checker.ALWAYS}
    rows["artifacts"] = [
        {"task_id": TASK, "name": name.rpartition("/")[2], "object": name, "size": 1}
        for name in objects
    ]
    return Evidence(rows=rows, objects=objects, left=[])


def found(evidence: Evidence, folder: Path, *told: Entry) -> set[str]:
    history = History(folder / "history.jsonl")
    for entry in (Entry("submit", "op-1", 0, 0, 202, {"id": TASK, "status": "queued"}), *told):
        history.add(entry)
    history.close()
    return {each.invariant for each in checker.broken(evidence, history)}


def test_the_truth_is_believed(tmp_path: Path) -> None:
    assert found(truth(), tmp_path) == set()
    assert len(checker.adoptions(truth(), TASK)) == 1


def _restarted(rows: dict[str, Any]) -> None:
    rows["sandboxes"] = [sandbox(BOX, 1, 9), sandbox("sbx_b", 11, 19, fence=2)]


def _doubled_line(rows: dict[str, Any]) -> None:
    rows["log_chunks"][1]["text"] = b"line 2\n"


def _short_log(rows: dict[str, Any]) -> None:
    del rows["log_chunks"][1]
    rows["log_streams"][0]["size"] = 14


def _gap(rows: dict[str, Any]) -> None:
    rows["log_chunks"][1]["start"] = 15


def _two_ends(rows: dict[str, Any]) -> None:
    rows["events"].append(event(5, "task.failed", 21))


def _other_end(rows: dict[str, Any]) -> None:
    rows["tasks"][0]["end_reason"] = "sandbox_lost"


def _stale_artifact(rows: dict[str, Any]) -> None:
    rows["artifacts"][0]["object"] = f"codexsys-logs/logs/{TASK}/a1-f1/prompt.txt"


def _two_live(rows: dict[str, Any]) -> None:
    rows["sandboxes"].append(sandbox("sbx_b", 5, 19))


def _left(rows: dict[str, Any]) -> None:
    rows["sandboxes"][0]["destroyed_at"] = None


def _second_task(rows: dict[str, Any]) -> None:
    rows["task_labels"].append({"task_id": "task_b", "name": "op", "value": "op-1"})


@pytest.mark.parametrize(
    ("lie", "invariant"),
    [
        (_restarted, "an adopted agent goes on where it was"),
        (_doubled_line, "log lines have no seam"),
        (_short_log, "log lines have no seam"),
        (_gap, "log offsets have no gap and no repeat"),
        (_two_ends, "one terminal status each"),
        (_other_end, "a task ends as it was asked to"),
        (_stale_artifact, "no stale write is accepted"),
        (_two_live, "one live sandbox for an attempt and a role"),
        (_left, "everything comes to rest"),
        (_second_task, "idempotency keys are honoured"),
    ],
)
def test_a_lie_is_found(
    tmp_path: Path, lie: Callable[[dict[str, Any]], None], invariant: str
) -> None:
    evidence = truth()
    rows = deepcopy(evidence.rows)
    lie(rows)
    assert invariant in found(Evidence(rows=rows, objects=evidence.objects, left=[]), tmp_path)


def test_what_clients_were_told_is_held_against_the_rows(tmp_path: Path) -> None:
    told = Entry("poll", "op-1", 1, 2, 200, {"id": TASK, "status": "failed"})
    assert found(truth(), tmp_path, told) == {"a terminal status is never left"}
    lost = Entry("submit", "op-2", 1, 2, 202, {"id": "task_gone", "status": "queued"})
    assert "every accepted task exists" in found(truth(), tmp_path, lost)
    rude = Entry("poll", "op-1", 1, 2, 500, {"said": "oh"})
    assert found(truth(), tmp_path, rude) == {"no answer is an accident"}
