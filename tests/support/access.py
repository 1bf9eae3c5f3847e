"""Who may do what: for every address and verb, what each kind of caller is answered.

A cell is a status, or the code of a problem. A new address without a row here fails the build.
"""

from dataclasses import dataclass
from typing import Any, Literal

Cell = int | str
LOW = "scope_too_low"


@dataclass(frozen=True)
class Row:
    """What our own key (or session), another tenant's, and one of scope `read` are answered.

    Whoever has none, a false one, or a share's token is told so by `asks`: a key, a session, or
    nothing, where everybody is answered alike.
    """

    ours: Cell
    other: Cell
    low: Cell
    asks: Literal["key", "session", "nothing"] = "key"

    @property
    def without(self) -> Cell:
        """Return what somebody with no key is answered."""
        cells: dict[str, Cell] = {"key": "key_missing", "session": 303, "nothing": self.ours}
        return cells[self.asks]

    @property
    def false(self) -> Cell:
        """Return what somebody with a false key or a share's token is answered."""
        cells: dict[str, Cell] = {"key": "key_unknown", "session": 303, "nothing": self.ours}
        return cells[self.asks]


def look(ours: Cell, other: Cell) -> Row:
    """Return the row of what every key of the tenant may do."""
    return Row(ours, other, ours)


def act(ours: Cell, other: Cell) -> Row:
    """Return the row of what needs more than `read`."""
    return Row(ours, other, LOW)


def view(ours: Cell, other: Cell) -> Row:
    """Return the row of a page."""
    return Row(ours, other, ours, "session")


def send(ours: Cell, other: Cell) -> Row:
    """Return the row of a form."""
    return Row(ours, other, LOW, "session")


def anyone(cell: Cell) -> Row:
    """Return the row of what is answered to everybody."""
    return Row(cell, cell, cell, "nothing")


NO_TASK, NO_ENVIRONMENT, NO_KEY, NO_SHARE, NO_UPLOAD = (
    "task_not_found",
    "environment_not_found",
    "key_not_found",
    "share_not_found",
    "upload_not_found",
)
_TASK = "/api/v1/tasks/{task_id}"
TABLE: dict[str, Row] = {
    "GET /healthz": anyone(200),
    "GET /readyz": anyone(200),
    "GET /metrics": anyone(200),
    "GET /openapi.json": anyone(200),
    "GET /api/v1/openapi.json": anyone(200),
    "GET /docs": anyone(200),
    "GET /docs/reference.css": anyone(200),
    "GET /api/v1/docs": anyone(200),
    "GET /api/v1/me": look(200, 200),
    "GET /api/v1/usage": look(200, 200),
    "POST /api/v1/tasks": act(202, 202),
    "GET /api/v1/tasks": look(200, 200),
    "POST /api/v1/uploads": act(201, 201),
    "DELETE /api/v1/uploads/{upload_id}": act(204, NO_UPLOAD),
    f"GET {_TASK}": look(200, NO_TASK),
    f"DELETE {_TASK}": act(204, NO_TASK),
    f"POST {_TASK}/cancel": act(200, NO_TASK),
    f"POST {_TASK}/retry": act(202, NO_TASK),
    f"POST {_TASK}/answers": act("question_not_found", NO_TASK),
    f"POST {_TASK}/messages": act("task_over", NO_TASK),
    f"GET {_TASK}/messages": look(200, NO_TASK),
    f"GET {_TASK}/attempts": look(200, NO_TASK),
    f"GET {_TASK}/events": look(200, NO_TASK),
    f"GET {_TASK}/logs": look(200, NO_TASK),
    f"GET {_TASK}/artifacts": look(200, NO_TASK),
    f"GET {_TASK}/artifacts/{{name}}": look("artifact_not_found", NO_TASK),
    f"GET {_TASK}/workspace": look("workspace_not_found", NO_TASK),
    f"POST {_TASK}/shares": act(201, NO_TASK),
    f"GET {_TASK}/shares": look(200, NO_TASK),
    "DELETE /api/v1/shares/{share_id}": act(204, NO_SHARE),
    "POST /api/v1/keys": act(201, 201),
    "GET /api/v1/keys": act(200, 200),
    "GET /api/v1/keys/{key_id}": act(200, NO_KEY),
    "PATCH /api/v1/keys/{key_id}": act(200, NO_KEY),
    "DELETE /api/v1/keys/{key_id}": act(204, NO_KEY),
    "POST /api/v1/environments": act(201, 201),
    "GET /api/v1/environments": look(200, 200),
    "GET /api/v1/environments/{environment_id}": look(200, NO_ENVIRONMENT),
    "PATCH /api/v1/environments/{environment_id}": act(200, NO_ENVIRONMENT),
    "DELETE /api/v1/environments/{environment_id}": act(204, NO_ENVIRONMENT),
    "GET /objects/{token}": anyone("bad_link"),
    "POST /objects/{token}": anyone("bad_link"),
    "GET /": view(303, 303),
    "GET /static/{name}": anyone("not_found"),
    "GET /sign-in": anyone(200),
    "POST /sign-in": anyone(401),
    "GET /sign-in/{token}": anyone(401),
    "POST /sign-out": view(303, 303),
    "GET /tasks": view(200, 200),
    "GET /keys": Row(200, 200, LOW, "session"),
    "POST /keys": send(200, 200),
    "POST /keys/{key_id}/revoke": send(303, NO_KEY),
    "GET /environments": view(200, 200),
    "POST /environments": send(303, 303),
    "POST /environments/{environment_id}/delete": send(303, NO_ENVIRONMENT),
    "GET /usage": view(200, 200),
    "GET /health": view(200, 200),
    "GET /submit": view(200, 200),
    "POST /submit": send(422, 422),
    "POST /submit/upload": send(201, 201),
    "GET /tasks/{task_id}": view(200, NO_TASK),
    "GET /tasks/{task_id}/events": view(200, NO_TASK),
    "GET /tasks/{task_id}/log": view(200, NO_TASK),
    "GET /tasks/{task_id}/diff": view("not_found", NO_TASK),
    "POST /tasks/{task_id}/answers": send("question_not_found", NO_TASK),
    "POST /tasks/{task_id}/messages": send("task_over", NO_TASK),
    "GET /tasks/{task_id}/artifacts/{name}": view("artifact_not_found", NO_TASK),
    "POST /tasks/{task_id}/cancel": send(303, NO_TASK),
    "POST /tasks/{task_id}/retry": send(303, NO_TASK),
    "POST /tasks/{task_id}/shares": send(200, NO_TASK),
    "POST /shares/{share_id}/revoke": send(303, NO_SHARE),
    "GET /s/{token}": anyone(200),
    "GET /s/{token}/log": anyone(200),
    "GET /s/{token}/diff": anyone("not_found"),
    "GET /s/{token}/artifacts/{name}": anyone("artifact_not_found"),
}
for _name in (
    "audit",
    "credentials",
    "deliveries",
    "endpoints",
    "hooks",
    "schedules",
    "sources",
):
    for _verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        for _rest in ("", "/{rest:path}"):
            TABLE[f"{_verb} /api/v1/{_name}{_rest}"] = look(*["not_available_yet"] * 2)

_NO_QUESTION = "qst_" + "0" * 26
BODIES: dict[str, Any] = {
    "POST /api/v1/tasks": {
        "prompt": "x",
        "source": {"git": {"url": "https://example.org/a.git"}},
    },
    "POST /api/v1/uploads": {"filename": "a.zip"},
    f"POST {_TASK}/answers": {"question": _NO_QUESTION, "answer": "x"},
    f"POST {_TASK}/messages": {"text": "x"},
    "POST /api/v1/keys": {"name": "another"},
    "PATCH /api/v1/keys/{key_id}": {"name": "renamed"},
    "POST /api/v1/environments": {"name": "another"},
    "PATCH /api/v1/environments/{environment_id}": {"setup": "true"},
}
FORMS: dict[str, dict[str, str]] = {
    "POST /sign-in": {"key": "cdx_nonsense"},
    "POST /keys": {"name": "page", "scope": "read"},
    "POST /environments": {"name": "page", "setup": "true"},
    "POST /tasks/{task_id}/answers": {"question": _NO_QUESTION, f"words-{_NO_QUESTION}": "x"},
    "POST /tasks/{task_id}/messages": {"text": "x"},
    "POST /tasks/{task_id}/shares": {"expires_in": "60", "parts": "status"},
}
