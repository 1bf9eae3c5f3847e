"""The nouns of the API as they usually look: one of each, for the examples of all operations."""

from typing import Any

TASK_ID, KEY_ID = "task_06f5k3v1q8e7s2m4c9x0b6n1ta", "key_06f5k2z8w4r1d7h3j5g9p0y6vq"
SHARE_ID, ENVIRONMENT_ID = "shr_06f5k4d2m9t6a1z8e3q7w5c0xn", "env_06f5k1h7b3n5v9c2x8z4q6w0re"
AT, SOON = "2026-11-28T09:30:00Z", "2026-11-28T09:45:00Z"
BASE = "https://codexsys.example.com"
API = f"{BASE}/api/v1/tasks/{TASK_ID}"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PROMPT = "Add a --json flag to the list command and test it."

LIMITS = {
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
WISH = {
    "prompt": PROMPT,
    "mode": "modify",
    "checks": {"command": "pytest -q", "strategy": "full", "may_change": ["tests/api/**"]},
    "limits": {"wall_seconds": 900, "cost_usd": 1.5},
    "labels": {"team": "web"},
}
CREATE = {**WISH, "source": {"git": {"url": "https://example.org/a/b.git", "ref": "main"}}}
QUEUED: dict[str, Any] = {
    "id": TASK_ID,
    "status": "queued",
    "phase": None,
    "progress": 0,
    "attempt": 1,
    "verdict": None,
    "prompt": PROMPT,
    "mode": "modify",
    "source": {"git": {"url": "https://example.org/a/b.git", "ref": "main", "submodules": False}},
    "engine": "builtin",
    "model": None,
    "labels": {"team": "web"},
    "limits": LIMITS,
    "created_at": AT,
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
        "self": API,
        "html": f"{BASE}/tasks/{TASK_ID}",
        "events": f"{API}/events",
        "logs": f"{API}/logs",
        "artifacts": f"{API}/artifacts",
    },
}
END = {
    "code": "finished",
    "category": "none",
    "cause": "The task is done.",
    "next": "Take the result.",
    "detail": "",
}
DONE: dict[str, Any] = QUEUED | {
    "status": "succeeded",
    "progress": 100,
    "verdict": "verified",
    "started_at": AT,
    "finished_at": SOON,
    "queue_position": None,
    "end_reason": END,
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
                },
                {
                    "kind": "lint",
                    "path": "src/list.py",
                    "line": 41,
                    "says": "ruff: F401 `json` imported but unused",
                },
            ],
            "looked": ["Looked at by python, ruff."],
        },
    },
    "diff": {"files": 2, "insertions": 31, "deletions": 4},
}
ASKING = QUEUED | {
    "status": "suspended",
    "started_at": AT,
    "queue_position": None,
    "questions": [
        {
            "id": "qst_06f5k6t4h8k2c7m1x5v9z3b0wp",
            "text": "Shall an empty list be [] or no output?",
            "options": ["[]", "nothing"],
            "default": "[]",
            "deadline": SOON,
            "answer": "[]",
        }
    ],
}
EVENT = {"id": 1, "type": "task.queued", "at": AT, "attempt": 1, "data": {}}
MESSAGE = {
    "id": "msg_06f5k8b2t6n4v1c7x9z3m5q0wd",
    "text": "Leave the old flag in place.",
    "created_at": AT,
    "delivered_at": None,
}
SANDBOX = {
    "id": "sbx_06f5k7c5r9f3s8w2q6n1d4g0hj",
    "role": "agent",
    "backend": "local",
    "state": "ended",
    "created_at": AT,
    "ended_at": SOON,
    "end_reason": None,
}
ATTEMPT = {
    "id": "att_06f5k3v1q8e7s2m4c9x0b6n1tb",
    "number": 1,
    "state": "ended",
    "owner": None,
    "takeovers": 0,
    "sandboxes": [SANDBOX],
    "started_at": AT,
    "ended_at": SOON,
    "end_reason": END,
}
ARTIFACT = {
    "name": "diff.patch",
    "size": 1834,
    "sha256": HASH,
    "content_type": "text/plain; charset=utf-8",
    "url": f"{BASE}/objects/eyJ…",
    "expires_at": SOON,
}
SHARE = {
    "id": SHARE_ID,
    "url": None,
    "parts": ["status", "diff"],
    "created_at": AT,
    "expires_at": "2026-12-05T09:30:00Z",
    "revoked_at": None,
}
NEW_SHARE = SHARE | {"url": f"{BASE}/s/0Zr1…"}
KEY = {
    "id": KEY_ID,
    "name": "ci",
    "scope": "write",
    "key": None,
    "created_at": AT,
    "revoked_at": None,
}
NEW_KEY = KEY | {"key": f"cdx_{KEY_ID.removeprefix('key_')}_8Qp…"}
ENVIRONMENT_GIVEN: dict[str, Any] = {
    "name": "web",
    "setup": "pip install -e .[dev]",
    "variables": {"DJANGO_SETTINGS_MODULE": "web.settings"},
    "setup_variables": {"PIP_TOKEN": "…"},
    "network": {"setup": "public"},
    "checks": {"command": "pytest -q", "strategy": "full", "may_change": []},
}
ENVIRONMENT = {
    "image": None,
    "services": [],
    "certificates": None,
    "proxy": None,
    "mirrors": {},
    "secrets_in_setup_sh": False,
    "cache": True,
    **ENVIRONMENT_GIVEN,
    "setup_variables": ["PIP_TOKEN"],
    "id": ENVIRONMENT_ID,
    "created_at": AT,
    "updated_at": AT,
}


USED = {
    "tasks": 14,
    "verified": 12,
    "calls": 98,
    "input_tokens": 294000,
    "output_tokens": 43400,
    "cached_tokens": 0,
    "cost_usd": 1.12,
}
SPENT = {"day": "2026-11-28", "calls": 7, "tokens": 24100, "cost_usd": 0.08}
TODAY = SPENT | {"limit_tokens": None, "limit_usd": 20.0}
