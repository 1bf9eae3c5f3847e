"""Clients that go on through any weather: each wish is submitted, followed to its end, some are cancelled."""

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tests.chaos.history import UNKNOWN, Entry, History
from tests.chaos.wishes import Wish, wish

TERMINAL = {"succeeded", "failed", "cancelled", "timed_out"}
ANSWER_SECONDS = 10.0
_PAUSE = 0.5


@dataclass
class Life:
    """What one client knows of its wish."""

    wish: Wish
    task_id: str | None = None
    status: str | None = None
    log_at: int = 0
    event_at: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Say whether the client has seen the end."""
        return self.status in TERMINAL


class Clients:
    """Submits at a steady rate to whichever API answers."""

    def __init__(
        self,
        *,
        history: History,
        urls: list[str],
        key: str,
        archive: bytes,
        git_url: str,
        rng: random.Random,
    ) -> None:
        self.lives: list[Life] = []
        self._history = history
        self._urls = urls
        self._archive = archive
        self._git_url = git_url
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._running: set[asyncio.Task[None]] = set()
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx2.AsyncClient(headers=headers, timeout=ANSWER_SECONDS, trust_env=False)

    def now(self) -> float:
        """Return the seconds since the run began."""
        return round(self._loop.time() - self._start, 3)

    async def run(self, *, seconds: float, rate: float) -> None:
        """Submit for so long; what was begun goes on behind."""
        number = 0
        while (due := number / rate) < seconds:
            await asyncio.sleep(max(0.0, due - self.now()))
            life = Life(wish(number, self._rng, self._git_url))
            self.lives.append(life)
            task = asyncio.create_task(self._live(life))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            number += 1

    async def settle(self, seconds: float) -> None:
        """Wait until every client has seen the end of its wish, or the time is up."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def close(self) -> None:
        """Give up what is still waited for."""
        running = list(self._running)
        for task in running:
            task.cancel()
        ends = await asyncio.gather(*running, return_exceptions=True)
        await self._client.aclose()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _live(self, life: Life) -> None:
        await self._submit(life)
        begun = self.now()
        while not life.over:
            after = life.wish.cancel_after
            if after is not None and self.now() - begun >= after:
                await self._cancel(life)
            await self._poll(life)
            if life.wish.follow:
                await self._follow(life)
            patience = min(3.0, _PAUSE + (self.now() - begun) / 20)
            await asyncio.sleep(patience * (1 + self._rng.random()))
        if life.wish.follow:
            await self._follow(life)

    async def _submit(self, life: Life) -> None:
        """Try until somebody takes it, always with the same key: there must be one task of it."""
        options: dict[str, Any] = {"headers": {"Idempotency-Key": f"key-{life.wish.op}"}}
        if life.wish.zip:
            options["files"] = {
                "task": (None, json.dumps(life.wish.body), "application/json"),
                "file": ("code.zip", self._archive, "application/zip"),
            }
        else:
            options["json"] = life.wish.body
        while life.task_id is None:
            answer = await self._ask(life, "submit", "POST", "/tasks", **options)
            if answer is not None and answer.status_code == 202:
                life.task_id = answer.json()["id"]
            else:
                await asyncio.sleep(_PAUSE)
        if self._rng.random() < 0.1:  # a client that did not hear the answer asks again
            await self._ask(life, "submit", "POST", "/tasks", **options)

    async def _poll(self, life: Life) -> None:
        answer = await self._ask(life, "poll", "GET", f"/tasks/{life.task_id}")
        if answer is not None and answer.status_code == 200:
            life.status = answer.json()["status"]

    async def _cancel(self, life: Life) -> None:
        await self._ask(life, "cancel", "POST", f"/tasks/{life.task_id}/cancel")

    async def _follow(self, life: Life) -> None:
        path = f"/tasks/{life.task_id}"
        query: dict[str, Any] = {"stream": "agent", "after": life.log_at}
        answer = await self._ask(life, "log", "GET", f"{path}/logs", params=query)
        if answer is not None and answer.status_code == 200:
            life.log_at += len(answer.content)
        query = {"after": life.event_at}
        answer = await self._ask(life, "events", "GET", f"{path}/events", params=query)
        if answer is not None and answer.status_code == 200:
            ids = [each["id"] for each in answer.json()["items"]]
            life.event_at = ids[-1] if ids else life.event_at

    async def _ask(
        self, life: Life, operation: str, method: str, path: str, **options: Any
    ) -> httpx2.Response | None:
        """Ask one API; note what was said, or that the answer is unknown."""
        url, sent = self._rng.choice(self._urls), self.now()
        answer: httpx2.Response | None = None
        result: int | str = UNKNOWN
        data: dict[str, Any] = {"task": life.task_id, "params": options.get("params")}
        if operation == "events":
            options["headers"] = {"Accept": "application/json"}
        try:
            answer = await self._client.request(method, f"{url}/api/v1{path}", **options)
            result = answer.status_code
            data |= _told(operation, answer)
        except httpx2.TransportError as error:
            data["error"] = type(error).__name__
        self._history.add(Entry(operation, life.wish.op, sent, self.now(), result, data))
        return answer


def _told(operation: str, answer: httpx2.Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        told = {"retry_after": answer.headers.get("retry-after"), "said": answer.text[:300]}
        return told | {"api": answer.headers.get("x-request-id")}
    if operation == "log":
        return {"text": answer.text}
    if operation == "events":
        return {"events": [[each["id"], each["type"]] for each in answer.json()["items"]]}
    task = answer.json()
    return {"id": task["id"], "status": task["status"]}
