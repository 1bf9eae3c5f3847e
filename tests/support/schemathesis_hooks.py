"""Keeps a run of schemathesis from harming itself, and lets what it makes up be taken."""

import uuid
from typing import Any

import schemathesis

DAY = "2026-11-28"
OTHER = "key_" + "0" * 26
SOURCE = {"git": {"url": "https://example.org/a/b.git"}}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Leave the key that everything is sent with as it is, and wait for a second at most.

    Of a thousand made-up URLs of a source none would be taken, nor days of a range, nor a key that was
    used for something else: what is meant to be right has ours.
    """
    del context, kwargs
    path = case.path_parameters or {}
    said = str((case.headers or {}).get("Authorization", ""))
    changes = case.method.upper() != "GET" and "key_id" in path
    if changes and path["key_id"] in {f"key_{part}" for part in said.split("_")}:
        path["key_id"] = OTHER
    waits = (case.query or {}).get("wait")
    if isinstance(waits, int) and 1 < waits <= 60:
        case.query["wait"] = 1
    right = case.meta is not None and case.meta.generation.mode.is_positive
    if case.operation.path == "/api/v1/usage" and right and case.query:
        case.query.update({name: DAY for name in ("from", "to") if case.query.get(name)})
        case.query.setdefault("to", DAY)
    headers = case.headers or {}
    if right and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = uuid.uuid4().hex
    made = case.method.upper() == "POST" and case.operation.path == "/api/v1/tasks"
    if made and right and isinstance(case.body, dict) and isinstance(case.body.get("source"), dict):
        case.body["source"] = SOURCE
