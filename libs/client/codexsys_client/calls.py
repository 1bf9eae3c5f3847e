"""Every call of the API as a value, for the client that waits and the one that awaits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BASE = "/api/v1"
ZIP_SECONDS = 240
"""For a large zip to be looked through."""


@dataclass(frozen=True)
class Call:
    """One request, without the platform's address and the key."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    wait_seconds: float = 0
    """How much longer than others the answer may take."""


def submit(task: Mapping[str, Any], *, idempotency_key: str | None) -> Call:
    """Make a task."""
    headers = _once(idempotency_key)
    return Call("POST", "/tasks", headers=headers, json=task, wait_seconds=ZIP_SECONDS)


def delete_upload(upload_id: str) -> Call:
    """Give an upload up."""
    return Call("DELETE", f"/uploads/{upload_id}")


def upload(filename: str, *, idempotency_key: str | None) -> Call:
    """Ask for a place for a zip."""
    return Call("POST", "/uploads", headers=_once(idempotency_key), json={"filename": filename})


def _once(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def check(task: Mapping[str, Any]) -> Call:
    """Try a task's source, make nothing."""
    return Call("POST", "/tasks", params={"check": "true"}, json=task)


def task(task_id: str, *, wait_seconds: int) -> Call:
    """Show a task, at once or when it changes."""
    params = {"wait": str(wait_seconds)} if wait_seconds else {}
    return Call("GET", f"/tasks/{task_id}", params=params, wait_seconds=wait_seconds)


def tasks(
    *,
    status: str | None,
    verdict: str | None,
    label: str | None,
    source_url: str | None,
    created_after: str | None,
    q: str | None,
    limit: int,
    cursor: str | None,
) -> Call:
    """List tasks."""
    given = {
        "status": status,
        "verdict": verdict,
        "label": label,
        "source_url": source_url,
        "created_after": created_after,
        "q": q,
        "cursor": cursor,
    }
    params = {name: value for name, value in given.items() if value} | {"limit": str(limit)}
    return Call("GET", "/tasks", params=params)


def attempts(task_id: str) -> Call:
    """List the tries at a task."""
    return Call("GET", f"/tasks/{task_id}/attempts")


def cancel(task_id: str) -> Call:
    """Cancel a task."""
    return Call("POST", f"/tasks/{task_id}/cancel")


def answer(task_id: str, question: str, answer: str, *, idempotency_key: str | None) -> Call:
    """Answer an open question."""
    body = {"question": question, "answer": answer}
    headers = _once(idempotency_key)
    return Call("POST", f"/tasks/{task_id}/answers", headers=headers, json=body)


def message(task_id: str, text: str, *, idempotency_key: str | None) -> Call:
    """Tell the agent something."""
    headers = _once(idempotency_key)
    return Call("POST", f"/tasks/{task_id}/messages", headers=headers, json={"text": text})


def messages(task_id: str, *, limit: int, cursor: str | None) -> Call:
    """List what was told to the agents."""
    return Call("GET", f"/tasks/{task_id}/messages", params=_page(limit, cursor))


def delete(task_id: str) -> Call:
    """Remove what a terminal task holds."""
    return Call("DELETE", f"/tasks/{task_id}")


def retry(
    task_id: str,
    *,
    limits: Mapping[str, Any] | None,
    start_from: str,
    idempotency_key: str | None,
) -> Call:
    """Try a terminal task again."""
    body = {"start_from": start_from} | ({"limits": limits} if limits else {})
    headers = _once(idempotency_key)
    return Call("POST", f"/tasks/{task_id}/retry", headers=headers, json=body)


def events(task_id: str, *, after: int) -> Call:
    """Return a page of events."""
    headers = {"Accept": "application/json"}
    return Call("GET", f"/tasks/{task_id}/events", params={"after": str(after)}, headers=headers)


def follow_events(task_id: str) -> Call:
    """Stream events."""
    return Call("GET", f"/tasks/{task_id}/events")


def log(task_id: str, stream: str, *, after: int) -> Call:
    """Return a log as it is now."""
    params = {"stream": stream, "after": str(after)}
    return Call("GET", f"/tasks/{task_id}/logs", params=params, headers={"Accept": "text/plain"})


def follow_log(task_id: str, stream: str) -> Call:
    """Stream a log."""
    return Call("GET", f"/tasks/{task_id}/logs", params={"stream": stream})


def artifacts(task_id: str) -> Call:
    """List a task's files."""
    return Call("GET", f"/tasks/{task_id}/artifacts")


def artifact(task_id: str, name: str) -> Call:
    """Go to a fresh link of a file."""
    return Call("GET", f"/tasks/{task_id}/artifacts/{name}")


def workspace(task_id: str) -> Call:
    """Return the tree with the change so far."""
    return Call("GET", f"/tasks/{task_id}/workspace", wait_seconds=240)


def share(
    task_id: str, *, expires_in: int | None, parts: Sequence[str], idempotency_key: str | None
) -> Call:
    """Make a share link."""
    body: dict[str, Any] = {"expires_in": expires_in} if expires_in else {}
    if parts:
        body["parts"] = list(parts)
    headers = _once(idempotency_key)
    return Call("POST", f"/tasks/{task_id}/shares", headers=headers, json=body)


def shares(task_id: str, *, limit: int, cursor: str | None) -> Call:
    """List a task's share links."""
    return Call("GET", f"/tasks/{task_id}/shares", params=_page(limit, cursor))


def _page(limit: int, cursor: str | None) -> dict[str, str]:
    return {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})


def revoke_share(share_id: str) -> Call:
    """End a share link."""
    return Call("DELETE", f"/shares/{share_id}")


def create_key(name: str, *, scope: str, idempotency_key: str | None) -> Call:
    """Make a key."""
    body = {"name": name, "scope": scope}
    return Call("POST", "/keys", headers=_once(idempotency_key), json=body)


def keys(*, limit: int, cursor: str | None) -> Call:
    """List keys."""
    return Call("GET", "/keys", params=_page(limit, cursor))


def revoke_key(key_id: str) -> Call:
    """End a key."""
    return Call("DELETE", f"/keys/{key_id}")


def me() -> Call:
    """Say who is asking."""
    return Call("GET", "/me")


def usage(*, first: str | None, last: str | None, label: str | None) -> Call:
    """Sum up what was used."""
    given = {"from": first, "to": last, "label": label}
    return Call("GET", "/usage", params={name: value for name, value in given.items() if value})


def create_environment(given: Mapping[str, Any], *, idempotency_key: str | None) -> Call:
    """Make an environment."""
    return Call("POST", "/environments", headers=_once(idempotency_key), json=given)


def environments(*, name: str | None, limit: int, cursor: str | None) -> Call:
    """List environments."""
    given = {"name": name, "cursor": cursor}
    params = {key: value for key, value in given.items() if value} | {"limit": str(limit)}
    return Call("GET", "/environments", params=params)


def environment(environment_id: str) -> Call:
    """Show an environment."""
    return Call("GET", f"/environments/{environment_id}")


def update_environment(environment_id: str, changes: Mapping[str, Any]) -> Call:
    """Change what is given."""
    return Call("PATCH", f"/environments/{environment_id}", json=changes)


def delete_environment(environment_id: str) -> Call:
    """Remove an environment."""
    return Call("DELETE", f"/environments/{environment_id}")
