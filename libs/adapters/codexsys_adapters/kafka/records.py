"""How records look on the wire: JSON values, and headers for what is not part of the contract."""

import json
from datetime import datetime
from typing import TypeVar

from codexsys_core.announcement import ResultRecord, TaskRecord

Headers = list[tuple[str, bytes]]
Wired = tuple[bytes, bytes, Headers]
"""Key, value and headers."""
Record = TypeVar("Record", TaskRecord, ResultRecord)


def encoded(record: TaskRecord | ResultRecord) -> bytes:
    """Return a record's value."""
    return record.model_dump_json().encode()


def task_headers(record: TaskRecord) -> Headers:
    """Carry the place in the order beside the value, so that the intake orders as the row says."""
    return [("turn", record.turn_at.isoformat().encode())] if record.turn_at else []


def read_task(value: bytes | None, headers: Headers) -> TaskRecord:
    """Return a task's record, or raise ValueError."""
    record = TaskRecord.model_validate_json(value or b"")
    turn = dict(headers).get("turn")
    if turn is None:
        return record
    return record.model_copy(update={"turn_at": datetime.fromisoformat(turn.decode())})


def read_result(value: bytes | None, _headers: Headers) -> ResultRecord:
    """Return a result's record, or raise ValueError."""
    return ResultRecord.model_validate_json(value or b"")


def dead_letter(task_id: str, reason: str) -> bytes:
    """Return the value of a task's dead letter."""
    return json.dumps({"v": 1, "task_id": task_id, "reason": reason}).encode()
