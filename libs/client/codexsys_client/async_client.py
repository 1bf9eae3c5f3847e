"""One platform, as its owner's programs see it that await."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from codexsys_client import calls
from codexsys_client.async_transport import AsyncTransport
from codexsys_client.errors import StoreAway
from codexsys_client.sending import DIRECT_BYTES, Progress, key_of, made_of, must_fit, size_of
from codexsys_client.streams import PATIENCE_SECONDS
from codexsys_client.types import (
    Artifact,
    Attempt,
    Environment,
    EnvironmentList,
    Event,
    Key,
    KeyList,
    LogChunk,
    Message,
    MessageList,
    Share,
    ShareList,
    Task,
    TaskList,
    Upload,
    UsageReport,
)


class AsyncClient:
    """The calls of `Client`, to be awaited; streams are asynchronous iterators."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_seconds: float = 60.0,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._transport = AsyncTransport(
            url, key, timeout_seconds=timeout_seconds, patience_seconds=patience_seconds
        )

    async def __aenter__(self) -> Self:
        """Return this client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def submit(
        self,
        task: dict[str, Any],
        *,
        file: Path | None = None,
        idempotency_key: str | None = None,
        direct_bytes: int = DIRECT_BYTES,
        progress: Progress | None = None,
    ) -> Task:
        """Make a task: `task` is the create body; `file` a zip that takes the place of its source.

        A zip of `direct_bytes` or more goes to the object store directly, else, and where that cannot be
        reached, through the API.
        """
        if file is not None and size_of(file) >= direct_bytes:
            try:
                sent = await self.upload(file, idempotency_key=idempotency_key, progress=progress)
            except StoreAway:
                pass
            else:
                task, file = made_of(task, sent), None
        call = calls.submit(task, idempotency_key=idempotency_key)
        response = (
            await self._transport.call(call)
            if file is None
            else await self._transport.upload(call, file, progress)
        )
        return cast("Task", response.json())

    async def upload(
        self,
        file: Path,
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Send a zip to the object store; return what `source.zip.upload_id` is for a task made of it."""
        key = await asyncio.to_thread(key_of, file, idempotency_key)
        response = await self._transport.call(calls.upload(file.name, idempotency_key=key))
        upload = cast("Upload", response.json())
        must_fit(file, upload)
        await self._transport.send(upload, file, progress)
        return upload["upload_id"]

    async def delete_upload(self, upload_id: str) -> None:
        """Give an upload up that no task was made of; what was sent is removed."""
        await self._transport.call(calls.delete_upload(upload_id))

    async def check(self, task: dict[str, Any]) -> dict[str, Any]:
        """Try a task's source, make nothing; raises `ApiError` with what is wrong with it."""
        return cast("dict[str, Any]", (await self._transport.call(calls.check(task))).json())

    async def task(self, task_id: str, *, wait_seconds: int = 0) -> Task:
        """Return a task; with `wait_seconds` it is held until something changes."""
        call = calls.task(task_id, wait_seconds=wait_seconds)
        return cast("Task", (await self._transport.call(call)).json())

    async def tasks(
        self,
        *,
        status: str | None = None,
        verdict: str | None = None,
        label: str | None = None,
        source_url: str | None = None,
        created_after: str | None = None,
        q: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> TaskList:
        """Return one page of tasks, newest first; `q` is text in the prompt, the source URL or the id."""
        call = calls.tasks(
            status=status,
            verdict=verdict,
            label=label,
            source_url=source_url,
            created_after=created_after,
            q=q,
            limit=limit,
            cursor=cursor,
        )
        return cast("TaskList", (await self._transport.call(call)).json())

    async def attempts(self, task_id: str) -> list[Attempt]:
        """Return the tries at a task."""
        response = await self._transport.call(calls.attempts(task_id))
        return cast("list[Attempt]", response.json()["items"])

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task; one that is over stays as it is."""
        return cast("Task", (await self._transport.call(calls.cancel(task_id))).json())

    async def answer(
        self, task_id: str, question: str, answer: str, *, idempotency_key: str | None = None
    ) -> Task:
        """Answer an open question; a suspended task goes on once none is open."""
        call = calls.answer(task_id, question, answer, idempotency_key=idempotency_key)
        return cast("Task", (await self._transport.call(call)).json())

    async def message(
        self, task_id: str, text: str, *, idempotency_key: str | None = None
    ) -> Message:
        """Tell the agent something; it reads it before its next step, then `delivered_at` says when."""
        call = calls.message(task_id, text, idempotency_key=idempotency_key)
        return cast("Message", (await self._transport.call(call)).json())

    async def messages(
        self, task_id: str, *, limit: int = 20, cursor: str | None = None
    ) -> MessageList:
        """Return one page of what was told to a task's agents, in order."""
        call = calls.messages(task_id, limit=limit, cursor=cursor)
        return cast("MessageList", (await self._transport.call(call)).json())

    async def delete(self, task_id: str) -> None:
        """Remove a terminal task's code, prompts, artifacts, logs and checkpoints; its row stays."""
        await self._transport.call(calls.delete(task_id))

    async def retry(
        self,
        task_id: str,
        *,
        limits: dict[str, Any] | None = None,
        start_from: str = "checkpoint",
        idempotency_key: str | None = None,
    ) -> Task:
        """Make a new task of a terminal one: from its last checkpoint, or from its `source` as it is now."""
        call = calls.retry(
            task_id, limits=limits, start_from=start_from, idempotency_key=idempotency_key
        )
        return cast("Task", (await self._transport.call(call)).json())

    async def events(self, task_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Yield events as they happen, until the task is over."""
        async for message in self._transport.follow(calls.follow_events(task_id), after=after):
            yield cast("Event", json.loads(message.data))

    async def events_now(self, task_id: str, *, after: int = 0) -> list[Event]:
        """Return one page of the events so far."""
        response = await self._transport.call(calls.events(task_id, after=after))
        return cast("list[Event]", response.json()["items"])

    async def log(self, task_id: str, stream: str = "agent", *, after: int = 0) -> str:
        """Return what a log holds now."""
        return str((await self._transport.call(calls.log(task_id, stream, after=after))).text)

    async def follow_log(
        self, task_id: str, stream: str = "agent", *, after: int = 0
    ) -> AsyncIterator[LogChunk]:
        """Yield a log as it grows, until the task is over."""
        async for message in self._transport.follow(calls.follow_log(task_id, stream), after=after):
            yield LogChunk.of(message.id, message.data)

    async def artifacts(self, task_id: str) -> list[Artifact]:
        """Return a task's files, each with a presigned link; of one that is not over, its change so far."""
        response = await self._transport.call(calls.artifacts(task_id))
        return cast("list[Artifact]", response.json()["items"])

    async def artifact(self, task_id: str, name: str) -> bytes:
        """Return what a file holds."""
        async with self._transport.download(await self._link(task_id, name)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def download(self, task_id: str, name: str, into: Path) -> None:
        """Write a file of a task to a path."""
        link = await self._link(task_id, name)
        async with self._transport.download(link) as pieces:
            await _write(pieces, into)

    async def workspace(self, task_id: str, into: Path) -> None:
        """Write the tree with the task's change as it is by now to a path, as a zip; also while it runs."""
        async with self._transport.pieces(calls.workspace(task_id)) as pieces:
            await _write(pieces, into)

    async def share(
        self,
        task_id: str,
        *,
        expires_in: int | None = None,
        parts: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Share:
        """Make a link that shows this task to whoever has it."""
        call = calls.share(
            task_id, expires_in=expires_in, parts=parts, idempotency_key=idempotency_key
        )
        return cast("Share", (await self._transport.call(call)).json())

    async def shares(
        self, task_id: str, *, limit: int = 20, cursor: str | None = None
    ) -> ShareList:
        """Return one page of a task's share links, newest first, also those that work no more."""
        call = calls.shares(task_id, limit=limit, cursor=cursor)
        return cast("ShareList", (await self._transport.call(call)).json())

    async def revoke_share(self, share_id: str) -> None:
        """End a share link at once."""
        await self._transport.call(calls.revoke_share(share_id))

    async def create_environment(
        self, given: dict[str, Any], *, idempotency_key: str | None = None
    ) -> Environment:
        """Make an environment; its setup variables are never shown again."""
        call = calls.create_environment(given, idempotency_key=idempotency_key)
        return cast("Environment", (await self._transport.call(call)).json())

    async def environments(
        self, *, name: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> EnvironmentList:
        """Return one page of environments, newest first."""
        call = calls.environments(name=name, limit=limit, cursor=cursor)
        return cast("EnvironmentList", (await self._transport.call(call)).json())

    async def environment(self, environment_id: str) -> Environment:
        """Return an environment."""
        call = calls.environment(environment_id)
        return cast("Environment", (await self._transport.call(call)).json())

    async def update_environment(self, environment_id: str, changes: dict[str, Any]) -> Environment:
        """Change what is given (a JSON merge patch) and nothing else."""
        call = calls.update_environment(environment_id, changes)
        return cast("Environment", (await self._transport.call(call)).json())

    async def delete_environment(self, environment_id: str) -> None:
        """Remove an environment; tasks keep their copy of it."""
        await self._transport.call(calls.delete_environment(environment_id))

    async def create_key(
        self, name: str, *, scope: str = "admin", idempotency_key: str | None = None
    ) -> Key:
        """Make a key of the own tenant; it is said only here, in `key`."""
        call = calls.create_key(name, scope=scope, idempotency_key=idempotency_key)
        return cast("Key", (await self._transport.call(call)).json())

    async def keys(self, *, limit: int = 20, cursor: str | None = None) -> KeyList:
        """Return one page of the own tenant's keys, newest first, revoked ones too."""
        return cast(
            "KeyList", (await self._transport.call(calls.keys(limit=limit, cursor=cursor))).json()
        )

    async def revoke_key(self, key_id: str) -> None:
        """Make a key useless at once."""
        await self._transport.call(calls.revoke_key(key_id))

    async def me(self) -> dict[str, Any]:
        """Return who is asking."""
        return cast("dict[str, Any]", (await self._transport.call(calls.me())).json())

    async def usage(
        self, *, first: str | None = None, last: str | None = None, label: str | None = None
    ) -> UsageReport:
        """Return what tasks used that were made from day to day (`2026-11-28`), by day and by a label's values."""
        call = calls.usage(first=first, last=last, label=label)
        return cast("UsageReport", (await self._transport.call(call)).json())

    async def _link(self, task_id: str, name: str) -> str:
        return str((await self._transport.call(calls.artifact(task_id, name))).headers["location"])


async def _write(pieces: AsyncIterator[bytes], into: Path) -> None:
    with await asyncio.to_thread(into.open, "wb") as file:
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
