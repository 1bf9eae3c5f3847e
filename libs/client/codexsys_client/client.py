"""One platform, as its owner's programs see it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from codexsys_client.transport import Transport
from codexsys_client.types import Artifact, Event, LogChunk, Share, Task, TaskList


class Client:
    """The REST API, call by call. Raises `ApiError` and `Unreachable`, both `ClientError`."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 60.0) -> None:
        self._transport = Transport(url, key, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Self:
        """Return this client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def submit(
        self,
        task: dict[str, Any],
        *,
        file: Path | None = None,
        idempotency_key: str | None = None,
    ) -> Task:
        """Make a task: `task` is the create body; `file` a zip that takes the place of its source."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        if file is None:
            response = self._transport.call("POST", "/tasks", headers=headers, json=task)
        else:
            with file.open("rb") as opened:
                parts = {
                    "task": (None, json.dumps(task), "application/json"),
                    "file": (file.name, opened, "application/zip"),
                }
                response = self._transport.call("POST", "/tasks", headers=headers, files=parts)
        return cast("Task", response.json())

    def task(self, task_id: str, *, wait_seconds: int = 0) -> Task:
        """Return a task; with `wait_seconds` it is held until something changes."""
        params = {"wait": str(wait_seconds)} if wait_seconds else {}
        path = f"/tasks/{task_id}"
        response = self._transport.call("GET", path, params=params, wait_seconds=wait_seconds)
        return cast("Task", response.json())

    def tasks(
        self,
        *,
        status: str | None = None,
        label: str | None = None,
        source_url: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> TaskList:
        """Return one page of tasks, newest first."""
        given = {"status": status, "label": label, "source_url": source_url, "cursor": cursor}
        params = {name: value for name, value in given.items() if value} | {"limit": str(limit)}
        return cast("TaskList", self._transport.call("GET", "/tasks", params=params).json())

    def cancel(self, task_id: str) -> Task:
        """Cancel a task; one that is over stays as it is."""
        return cast("Task", self._transport.call("POST", f"/tasks/{task_id}/cancel").json())

    def retry(self, task_id: str, *, limits: dict[str, Any] | None = None) -> Task:
        """Make a new task that carries on from a terminal one's last checkpoint."""
        body = {"limits": limits} if limits else {}
        return cast(
            "Task", self._transport.call("POST", f"/tasks/{task_id}/retry", json=body).json()
        )

    def events(self, task_id: str, *, after: int = 0) -> Iterator[Event]:
        """Yield events as they happen, until the task is over."""
        for message in self._transport.follow(f"/tasks/{task_id}/events", after=after):
            yield cast("Event", json.loads(message.data))

    def events_now(self, task_id: str, *, after: int = 0) -> list[Event]:
        """Return one page of the events so far."""
        params = {"after": str(after)}
        headers = {"Accept": "application/json"}
        path = f"/tasks/{task_id}/events"
        response = self._transport.call("GET", path, params=params, headers=headers)
        return cast("list[Event]", response.json()["items"])

    def log(self, task_id: str, stream: str = "agent", *, after: int = 0) -> str:
        """Return what a log holds now."""
        params = {"stream": stream, "after": str(after)}
        headers = {"Accept": "text/plain"}
        return str(
            self._transport.call(
                "GET", f"/tasks/{task_id}/logs", params=params, headers=headers
            ).text
        )

    def follow_log(
        self, task_id: str, stream: str = "agent", *, after: int = 0
    ) -> Iterator[LogChunk]:
        """Yield a log as it grows, until the task is over."""
        params = {"stream": stream}
        for message in self._transport.follow(f"/tasks/{task_id}/logs", after=after, params=params):
            data = json.loads(message.data)
            yield LogChunk(data["offset"], int(message.id), data["text"])

    def artifacts(self, task_id: str) -> list[Artifact]:
        """Return a terminal task's files, each with a presigned link."""
        response = self._transport.call("GET", f"/tasks/{task_id}/artifacts")
        return cast("list[Artifact]", response.json()["items"])

    def artifact(self, task_id: str, name: str) -> bytes:
        """Return what a file holds."""
        with self._transport.download(self._link(task_id, name)) as pieces:
            return b"".join(pieces)

    def download(self, task_id: str, name: str, into: Path) -> None:
        """Write a file of a task to a path."""
        with self._transport.download(self._link(task_id, name)) as pieces, into.open("wb") as file:
            for piece in pieces:
                file.write(piece)

    def share(
        self, task_id: str, *, expires_in: int | None = None, parts: Sequence[str] = ()
    ) -> Share:
        """Make a link that shows this task to whoever has it."""
        body: dict[str, Any] = {"expires_in": expires_in} if expires_in else {}
        if parts:
            body["parts"] = list(parts)
        return cast(
            "Share", self._transport.call("POST", f"/tasks/{task_id}/shares", json=body).json()
        )

    def revoke_share(self, share_id: str) -> None:
        """End a share link at once."""
        self._transport.call("DELETE", f"/shares/{share_id}")

    def me(self) -> dict[str, Any]:
        """Return who is asking."""
        return cast("dict[str, Any]", self._transport.call("GET", "/me").json())

    def _link(self, task_id: str, name: str) -> str:
        response = self._transport.call("GET", f"/tasks/{task_id}/artifacts/{name}")
        return str(response.headers["location"])
