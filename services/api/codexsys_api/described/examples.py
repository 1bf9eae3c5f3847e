"""One usual request and answer of each operation, as they would be sent; a test holds them to the schemas."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from codexsys_api.described.refusals import REFUSALS
from codexsys_api.described.samples import (
    ARTIFACT,
    ASKING,
    ATTEMPT,
    CREATE,
    DONE,
    ENVIRONMENT,
    ENVIRONMENT_GIVEN,
    EVENT,
    HASH,
    KEY,
    KEY_ID,
    LIMITS,
    MESSAGE,
    NEW_KEY,
    NEW_SHARE,
    QUEUED,
    SHARE,
    SOON,
    TODAY,
    USED,
    WISH,
)

JSON, TEXT, SSE = "application/json", "text/plain", "text/event-stream"


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
                    "key": {"id": KEY_ID, "name": "ci", "scope": "write"},
                    "limits": LIMITS,
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
                    "total": USED,
                    "days": [{"day": "2026-11-28", **USED}],
                    "values": [{"value": "web", **USED}],
                    "more": False,
                    "today": TODAY,
                }
            }
        }
    ),
    "createTask": Example(
        request={JSON: CREATE, "multipart/form-data": {"task": WISH, "file": "(the zip)"}},
        answers={
            200: {
                JSON: {
                    "ok": True,
                    "source": {"url": "https://example.org/a/b.git", "commit": HASH[:40]},
                    "checks": {
                        "command": "python3 -m pytest -q",
                        "found_in": "pytest.ini",
                        "strategy": "full",
                        "looked": True,
                    },
                }
            },
            202: {JSON: QUEUED},
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
                    "expires_at": SOON,
                    "max_bytes": 268435456,
                }
            }
        },
    ),
    "deleteUpload": Example(),
    "listTasks": Example(answers={200: {JSON: _list(DONE)}}),
    "getTask": Example(answers={200: {JSON: DONE}}),
    "deleteTask": Example(),
    "cancelTask": Example(answers={200: {JSON: QUEUED | {"status": "cancelled"}}}),
    "retryTask": Example(
        request={JSON: {"start_from": "checkpoint"}},
        answers={202: {JSON: QUEUED | {"retry_of": "task_06f5jzq2n6v8b4c1x7z3m9t5wd"}}},
    ),
    "listAttempts": Example(answers={200: {JSON: _list(ATTEMPT)}}),
    "answerQuestion": Example(
        request={JSON: {"question": "qst_06f5k6t4h8k2c7m1x5v9z3b0wp", "answer": "[]"}},
        answers={200: {JSON: ASKING}},
    ),
    "sendMessage": Example(
        request={JSON: {"text": "Leave the old flag in place."}}, answers={202: {JSON: MESSAGE}}
    ),
    "listMessages": Example(answers={200: {JSON: _list(MESSAGE | {"delivered_at": SOON})}}),
    "followEvents": Example(
        answers={
            200: {
                JSON: {"items": [EVENT], "next": 1},
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
    "listArtifacts": Example(answers={200: {JSON: _list(ARTIFACT)}}),
    "getArtifact": Example(),
    "getWorkspace": Example(),
    "createShare": Example(
        request={JSON: {"expires_in": 604800, "parts": ["status", "diff"]}},
        answers={201: {JSON: NEW_SHARE}},
    ),
    "listShares": Example(answers={200: {JSON: _list(SHARE)}}),
    "revokeShare": Example(),
    "listKeys": Example(answers={200: {JSON: _list(KEY)}}),
    "createKey": Example(
        request={JSON: {"name": "ci", "scope": "write"}}, answers={201: {JSON: NEW_KEY}}
    ),
    "getKey": Example(answers={200: {JSON: KEY}}),
    "updateKey": Example(
        request={JSON: {"scope": "read"}}, answers={200: {JSON: KEY | {"scope": "read"}}}
    ),
    "revokeKey": Example(),
    "createEnvironment": Example(
        request={JSON: ENVIRONMENT_GIVEN}, answers={201: {JSON: ENVIRONMENT}}
    ),
    "listEnvironments": Example(answers={200: {JSON: _list(ENVIRONMENT)}}),
    "getEnvironment": Example(answers={200: {JSON: ENVIRONMENT}}),
    "updateEnvironment": Example(
        request={JSON: {"setup": None, "setup_variables": {"PIP_TOKEN": None}}},
        answers={200: {JSON: ENVIRONMENT | {"setup": None, "setup_variables": []}}},
    ),
    "deleteEnvironment": Example(),
}
