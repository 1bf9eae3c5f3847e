"""One usual request and answer of each operation, as they would be sent; a test holds them to the schemas."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from codexsys_api.described.refusals import REFUSALS

JSON, TEXT, SSE = "application/json", "text/plain", "text/event-stream"
_TASK_ID, _KEY_ID = "task_06f5k3v1q8e7s2m4c9x0b6n1ta", "key_06f5k2z8w4r1d7h3j5g9p0y6vq"
_SHARE_ID, _ENVIRONMENT_ID = "shr_06f5k4d2m9t6a1z8e3q7w5c0xn", "env_06f5k1h7b3n5v9c2x8z4q6w0re"
_AT, _SOON = "2026-11-28T09:30:00Z", "2026-11-28T09:45:00Z"
_BASE = "https://codexsys.example.com"
_API = f"{_BASE}/api/v1/tasks/{_TASK_ID}"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PROMPT = "Add a --json flag to the list command and test it."


@dataclass(frozen=True)
class Example:
    """A request's body by media type; answers by status and media type."""

    request: dict[str, Any] | None = None
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)


def problem(code: str, status: int) -> dict[str, Any]:
    """Return a usual problem of this code."""
    shown = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": REFUSALS[code][1],
        "instance": "/api/v1/tasks",
        "code": code,
        "request_id": "req_06f5k5m3s7y1n4b8v2c6x9z0qd",
    }
    if code == "invalid":
        shown["errors"] = [{"pointer": "/prompt", "detail": "This field is required."}]
    return shown


_LIMITS = {
    "task_seconds": 86400,
    "wall_seconds": 900,
    "queue_seconds": 86400,
    "setup_seconds": 600,
    "checks_seconds": 900,
    "calls": 300,
    "steps": 60,
    "tokens": 2000000,
    "cost_usd": 1.5,
    "attempts": 2,
    "verify_rounds": 3,
    "cpus": 2.0,
    "memory_mb": 4096,
    "disk_mb": 10240,
    "pids": 512,
}
_WISH = {
    "prompt": _PROMPT,
    "mode": "modify",
    "checks": {"command": "pytest -q", "strategy": "full", "may_change": ["tests/api/**"]},
    "limits": {"wall_seconds": 900, "cost_usd": 1.5},
    "labels": {"team": "web"},
}
_CREATE = {**_WISH, "source": {"git": {"url": "https://example.org/a/b.git", "ref": "main"}}}
_QUEUED: dict[str, Any] = {
    "id": _TASK_ID,
    "status": "queued",
    "phase": None,
    "progress": 0,
    "attempt": 1,
    "verdict": None,
    "prompt": _PROMPT,
    "mode": "modify",
    "source": {"git": {"url": "https://example.org/a/b.git", "ref": "main", "submodules": False}},
    "engine": "builtin",
    "model": None,
    "labels": {"team": "web"},
    "limits": _LIMITS,
    "created_at": _AT,
    "started_at": None,
    "finished_at": None,
    "deleted_at": None,
    "queue_position": 0,
    "end_reason": None,
    "questions": [],
    "usage": {
        "calls": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cached_tokens": 0,
        "cost_usd": 0.0,
        "limit_usd": 1.5,
    },
    "plan": [],
    "checks": {
        "command": "pytest -q",
        "strategy": "full",
        "may_change": ["tests/api/**"],
        "before": None,
        "after": None,
        "evidence": None,
    },
    "diff": None,
    "commit": None,
    "pull_request": None,
    "retry_of": None,
    "links": {
        "self": _API,
        "html": f"{_BASE}/tasks/{_TASK_ID}",
        "events": f"{_API}/events",
        "logs": f"{_API}/logs",
        "artifacts": f"{_API}/artifacts",
    },
}
_END = {
    "code": "finished",
    "category": "none",
    "cause": "The task is done.",
    "next": "Take the result.",
    "detail": "",
}
_DONE: dict[str, Any] = _QUEUED | {
    "status": "succeeded",
    "progress": 100,
    "verdict": "verified",
    "started_at": _AT,
    "finished_at": _SOON,
    "queue_position": None,
    "end_reason": _END,
    "usage": {
        "calls": 7,
        "input_tokens": 21000,
        "output_tokens": 3100,
        "cached_tokens": 0,
        "cost_usd": 0.08,
        "limit_usd": 1.5,
    },
    "plan": [{"step": "Find where lists are printed", "done": True}],
    "checks": {
        "command": "pytest -q",
        "strategy": "full",
        "may_change": ["tests/api/**"],
        "before": {"passed": 40, "failed": 1},
        "after": {"passed": 42, "failed": 0},
        "evidence": {
            "verdict": "verified",
            "sentences": ["Every test that passed before ran and passed."],
            "command": "pytest -q",
            "found_in": None,
            "strategy": "full",
            "tree": "3f1c9a0b7d2e4f6a8b9c0d1e2f3a4b5c6d7e8f90",
            "before": {"passed": 40, "failed": 1},
            "after": {"passed": 42, "failed": 0},
            "fixed": ["tests/test_list.py::test_json"],
            "broken": [],
            "missing": [],
            "flags": [
                {
                    "kind": "tests_changed",
                    "path": "tests/api/test_list.py",
                    "line": None,
                    "says": "a test was changed",
                }
            ],
        },
    },
    "diff": {"files": 2, "insertions": 31, "deletions": 4},
}
_ASKING = _QUEUED | {
    "status": "suspended",
    "started_at": _AT,
    "queue_position": None,
    "questions": [
        {
            "id": "qst_06f5k6t4h8k2c7m1x5v9z3b0wp",
            "text": "Shall an empty list be [] or no output?",
            "options": ["[]", "nothing"],
            "default": "[]",
            "deadline": _SOON,
            "answer": "[]",
        }
    ],
}
_EVENT = {"id": 1, "type": "task.queued", "at": _AT, "attempt": 1, "data": {}}
_MESSAGE = {
    "id": "msg_06f5k8b2t6n4v1c7x9z3m5q0wd",
    "text": "Leave the old flag in place.",
    "created_at": _AT,
    "delivered_at": None,
}
_SANDBOX = {
    "id": "sbx_06f5k7c5r9f3s8w2q6n1d4g0hj",
    "role": "agent",
    "backend": "local",
    "state": "ended",
    "created_at": _AT,
    "ended_at": _SOON,
    "end_reason": None,
}
_ATTEMPT = {
    "id": "att_06f5k3v1q8e7s2m4c9x0b6n1tb",
    "number": 1,
    "state": "ended",
    "owner": None,
    "takeovers": 0,
    "sandboxes": [_SANDBOX],
    "started_at": _AT,
    "ended_at": _SOON,
    "end_reason": _END,
}
_ARTIFACT = {
    "name": "diff.patch",
    "size": 1834,
    "sha256": _HASH,
    "content_type": "text/plain; charset=utf-8",
    "url": f"{_BASE}/objects/eyJ…",
    "expires_at": _SOON,
}
_SHARE = {
    "id": _SHARE_ID,
    "url": None,
    "parts": ["status", "diff"],
    "created_at": _AT,
    "expires_at": "2026-12-05T09:30:00Z",
    "revoked_at": None,
}
_NEW_SHARE = _SHARE | {"url": f"{_BASE}/s/0Zr1…"}
_KEY = {
    "id": _KEY_ID,
    "name": "ci",
    "scope": "write",
    "key": None,
    "created_at": _AT,
    "revoked_at": None,
}
_NEW_KEY = _KEY | {"key": f"cdx_{_KEY_ID.removeprefix('key_')}_8Qp…"}
_ENVIRONMENT_GIVEN: dict[str, Any] = {
    "name": "web",
    "setup": "pip install -e .[dev]",
    "variables": {"DJANGO_SETTINGS_MODULE": "web.settings"},
    "setup_variables": {"PIP_TOKEN": "…"},
    "network": {"setup": "public"},
    "checks": {"command": "pytest -q", "strategy": "full", "may_change": []},
}
_ENVIRONMENT = {
    "image": None,
    "services": [],
    "certificates": None,
    "proxy": None,
    "mirrors": {},
    "secrets_in_setup_sh": False,
    "cache": True,
    **_ENVIRONMENT_GIVEN,
    "setup_variables": ["PIP_TOKEN"],
    "id": _ENVIRONMENT_ID,
    "created_at": _AT,
    "updated_at": _AT,
}


_USED = {
    "tasks": 14,
    "verified": 12,
    "calls": 98,
    "input_tokens": 294000,
    "output_tokens": 43400,
    "cached_tokens": 0,
    "cost_usd": 1.12,
}
_SPENT = {"day": "2026-11-28", "calls": 7, "tokens": 24100, "cost_usd": 0.08}
_TODAY = _SPENT | {"limit_tokens": None, "limit_usd": 20.0}


def _list(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": None}


def _sse(name: str, number: int, data: str) -> str:
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n"


EXAMPLES: dict[str, Example] = {
    "healthz": Example(answers={200: {TEXT: "ok\n"}}),
    "readyz": Example(
        answers={
            200: {JSON: {"ready": True, "problems": {}}},
            503: {
                JSON: {"ready": False, "problems": {"database": "The database does not answer."}}
            },
        }
    ),
    "metrics": Example(answers={200: {TEXT: 'codexsys_http_requests_total{method="GET"} 3.0\n'}}),
    "openapi": Example(
        answers={200: {JSON: {"openapi": "3.1.0", "info": {"title": "codexsys"}, "paths": {}}}}
    ),
    "me": Example(
        answers={
            200: {
                JSON: {
                    "tenant": {"id": "ten_06f5k0a9y5p1z7k3h8d2s6t4cv"},
                    "key": {"id": _KEY_ID, "name": "ci", "scope": "write"},
                    "limits": _LIMITS,
                }
            }
        }
    ),
    "getUsage": Example(
        answers={
            200: {
                JSON: {
                    "from": "2026-11-28",
                    "to": "2026-11-28",
                    "label": "team",
                    "total": _USED,
                    "days": [{"day": "2026-11-28", **_USED}],
                    "values": [{"value": "web", **_USED}],
                    "more": False,
                    "today": _TODAY,
                }
            }
        }
    ),
    "createTask": Example(
        request={JSON: _CREATE, "multipart/form-data": {"task": _WISH, "file": "(the zip)"}},
        answers={
            200: {
                JSON: {
                    "ok": True,
                    "source": {"url": "https://example.org/a/b.git", "commit": _HASH[:40]},
                    "checks": {
                        "command": "python3 -m pytest -q",
                        "found_in": "pytest.ini",
                        "strategy": "full",
                        "looked": True,
                    },
                }
            },
            202: {JSON: _QUEUED},
        },
    ),
    "createUpload": Example(
        request={JSON: {"filename": "web.zip"}},
        answers={
            201: {
                JSON: {
                    "upload_id": "upl_06f5k2q9c1v7m3x5z8b4n6t0wd",
                    "url": "https://objects.example.com/codexsys-code",
                    "fields": {"key": "uploads/ten_…/upl_…", "policy": "eyJ…"},
                    "expires_at": _SOON,
                    "max_bytes": 268435456,
                }
            }
        },
    ),
    "deleteUpload": Example(),
    "listTasks": Example(answers={200: {JSON: _list(_DONE)}}),
    "getTask": Example(answers={200: {JSON: _DONE}}),
    "deleteTask": Example(),
    "cancelTask": Example(answers={200: {JSON: _QUEUED | {"status": "cancelled"}}}),
    "retryTask": Example(
        request={JSON: {"start_from": "checkpoint"}},
        answers={202: {JSON: _QUEUED | {"retry_of": "task_06f5jzq2n6v8b4c1x7z3m9t5wd"}}},
    ),
    "listAttempts": Example(answers={200: {JSON: _list(_ATTEMPT)}}),
    "answerQuestion": Example(
        request={JSON: {"question": "qst_06f5k6t4h8k2c7m1x5v9z3b0wp", "answer": "[]"}},
        answers={200: {JSON: _ASKING}},
    ),
    "sendMessage": Example(
        request={JSON: {"text": "Leave the old flag in place."}}, answers={202: {JSON: _MESSAGE}}
    ),
    "listMessages": Example(answers={200: {JSON: _list(_MESSAGE | {"delivered_at": _SOON})}}),
    "followEvents": Example(
        answers={
            200: {
                JSON: {"items": [_EVENT], "next": 1},
                SSE: _sse("task.queued", 1, '{"id":1,"type":"task.queued",…}')
                + _sse("done", 9, "{}"),
            }
        }
    ),
    "followLogs": Example(
        answers={
            200: {
                TEXT: "collected 42 items\n",
                SSE: _sse("log", 19, '{"offset":0,"text":"collected 42 items\\n"}')
                + _sse("done", 19, "{}"),
            }
        }
    ),
    "listArtifacts": Example(answers={200: {JSON: _list(_ARTIFACT)}}),
    "getArtifact": Example(),
    "getWorkspace": Example(),
    "createShare": Example(
        request={JSON: {"expires_in": 604800, "parts": ["status", "diff"]}},
        answers={201: {JSON: _NEW_SHARE}},
    ),
    "listShares": Example(answers={200: {JSON: _list(_SHARE)}}),
    "revokeShare": Example(),
    "listKeys": Example(answers={200: {JSON: _list(_KEY)}}),
    "createKey": Example(
        request={JSON: {"name": "ci", "scope": "write"}}, answers={201: {JSON: _NEW_KEY}}
    ),
    "getKey": Example(answers={200: {JSON: _KEY}}),
    "updateKey": Example(
        request={JSON: {"scope": "read"}}, answers={200: {JSON: _KEY | {"scope": "read"}}}
    ),
    "revokeKey": Example(),
    "createEnvironment": Example(
        request={JSON: _ENVIRONMENT_GIVEN}, answers={201: {JSON: _ENVIRONMENT}}
    ),
    "listEnvironments": Example(answers={200: {JSON: _list(_ENVIRONMENT)}}),
    "getEnvironment": Example(answers={200: {JSON: _ENVIRONMENT}}),
    "updateEnvironment": Example(
        request={JSON: {"setup": None, "setup_variables": {"PIP_TOKEN": None}}},
        answers={200: {JSON: _ENVIRONMENT | {"setup": None, "setup_variables": []}}},
    ),
    "deleteEnvironment": Example(),
}
