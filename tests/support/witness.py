"""What a finished task must show to whoever looks: events, logs, artifacts, patch, announcement."""

import asyncio
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from tests.support.distributed import Servers
from tests.support.users import TERMINAL, User

from codexsys_adapters.kafka import KafkaQueue
from codexsys_core.clock import SystemClock

Sse = dict[str, Any]


async def follow(user: User, path: str, *, last: int | None = None) -> AsyncIterator[Sse]:
    """Yield server-sent events of a path until `done`, which is yielded too."""
    headers = {"Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    async with user.client.stream("GET", f"/api/v1{path}", headers=headers, timeout=120) as answer:
        assert answer.status_code == 200
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            elif "event" in fields:
                yield {
                    "id": int(fields["id"]),
                    "event": fields["event"],
                    "data": json.loads(fields["data"]),
                }
                if fields["event"] == "done":
                    return
                fields = {}
    raise AssertionError(f"{path} ended without `done`")


async def followed(user: User, path: str, *, last: int | None = None) -> list[Sse]:
    """Return a whole stream."""
    return [each async for each in follow(user, path, last=last)]


async def polled(user: User, task_id: str) -> list[dict[str, Any]]:
    """Return all events by asking page after page."""
    events: list[dict[str, Any]] = []
    while True:
        page = await user.get(
            f"/tasks/{task_id}/events", params={"after": events[-1]["id"] if events else 0}
        )
        if not page["items"]:
            return events
        events += page["items"]


async def agrees(user: User, task_id: str, live: list[Sse]) -> None:
    """SSE and polling tell the same, numbered without a gap, with one end."""
    events = await polled(user, task_id)
    assert [each["data"] for each in live[:-1]] == events
    assert [each["id"] for each in events] == list(range(1, len(events) + 1))
    ends = [each["type"] for each in events if each["type"].removeprefix("task.") in TERMINAL]
    assert len(ends) == 1, ends
    assert events[-1]["type"] == ends[0]
    middle = len(events) // 2
    assert await followed(user, f"/tasks/{task_id}/events", last=middle) == live[middle:]


async def log_is_whole(user: User, task_id: str, stream: str) -> str:
    """Offsets follow each other; the stream and the plain text are the same."""
    path = f"/tasks/{task_id}/logs?stream={stream}"
    chunks = await followed(user, path)
    at, text = 0, ""
    for chunk in chunks[:-1]:
        assert chunk["data"]["offset"] == at
        text += chunk["data"]["text"]
        at = chunk["id"]
        assert at == len(text.encode())
    assert chunks[-1]["id"] == at
    assert await user.log(task_id, stream) == text
    return text


def download(artifacts: dict[str, dict[str, Any]], folder: Path) -> None:
    """Fetch each artifact by plain curl from its link; compare size and sha256."""
    folder.mkdir(parents=True)
    arguments: list[str] = []
    for name, item in artifacts.items():
        arguments += ["-o", str(folder / name), item["url"]]
    curl = subprocess.run(
        ["curl", "-fsS", *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert curl.returncode == 0, curl.stderr.decode()
    for name, item in artifacts.items():
        data = (folder / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (item["size"], item["sha256"])


async def announced(
    servers: Servers, task_ids: set[str], *, seconds: float
) -> dict[str, list[dict[str, Any]]]:
    """Read codex-results from its beginning until each task was seen; return all its copies."""
    seen: dict[str, list[dict[str, Any]]] = {}
    async with (
        KafkaQueue(bootstrap=servers.kafka, clock=SystemClock(), suffix=servers.suffix) as queue,
        aclosing(queue.results(group="e2e")) as batches,  # type: ignore[type-var]
        asyncio.timeout(seconds),
    ):
        async for batch in batches:
            for record in batch:
                if record.task_id in task_ids:
                    copy = record.model_dump(mode="json")
                    seen.setdefault(record.task_id, []).append(copy)
            if seen.keys() == task_ids:
                break
    return seen


def agree(copies: list[dict[str, Any]], task: dict[str, Any], artifacts: dict[str, Any]) -> None:
    """All copies of a result are equal, and say what the task says."""
    assert all(copy == copies[0] for copy in copies)
    first = copies[0]
    assert (first["status"], first["verdict"]) == (task["status"], task["verdict"])
    assert first["end_reason"] == task["end_reason"]["code"]
    listed = {(each["name"], each["size"], each["sha256"]) for each in first["artifacts"]}
    assert listed == {(name, each["size"], each["sha256"]) for name, each in artifacts.items()}
