"""Clients that go on through any weather: each wish is submitted, followed to its end, some are cancelled."""

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any

import httpx2
from tests.chaos.history import UNKNOWN, Entry, History
from tests.chaos.wishes import ANY_TIME, AT_ONCE, OVER, Wish, wish

TERMINAL = {"succeeded", "failed", "cancelled", "timed_out"}
ANSWER_SECONDS = 10.0
_PAUSE, _MOST_PAUSE, _EAGER = 0.7, 5.0, 0.4
_UNLIMITED = httpx2.Limits(max_connections=None, max_keepalive_connections=200)


@dataclass
class Life:
    """What one client knows of its wish."""

    wish: Wish
    task_id: str | None = None
    status: str | None = None
    phase: str | None = None
    question: str | None = None
    log_at: int = 0
    event_at: int = 0
    cancelled: bool = False

    @property
    def over(self) -> bool:
        """Say whether the client has seen the end."""
        return self.status in TERMINAL

    @property
    def point(self) -> str | None:
        """Return where the task was seen last."""
        return self.phase if self.status == "running" else self.status

    @property
    def waits_for_a_point(self) -> bool:
        """Say whether the client must look often, to cancel where it wants to."""
        soon = self.wish.cancel not in (None, AT_ONCE, ANY_TIME, OVER)
        return soon and not self.cancelled and self.status == "running"

    def to_be_cancelled(self, age: float) -> bool:
        """Say whether now is the time; a point that was missed is made up for at the end."""
        if self.cancelled or self.wish.cancel is None:
            return False
        due = {AT_ONCE: True, ANY_TIME: age >= self.wish.cancel_after, OVER: self.over}
        return due.get(self.wish.cancel, self.point == self.wish.cancel) or self.over


class Clients:
    """Submit to whichever API answers."""

    def __init__(
        self,
        *,
        history: History,
        urls: list[str],
        key: str,
        archive: bytes,
        git_url: str,
        seed: int,
        sandbox: str,
    ) -> None:
        self.history = history
        self._urls = urls
        self._archive = archive
        self._git_url = git_url
        self._seed = seed
        self._sandbox = sandbox
        self._rng = random.Random(f"clients {seed}")
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._running: set[asyncio.Task[None]] = set()
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx2.AsyncClient(
            headers=headers, timeout=ANSWER_SECONDS, limits=_UNLIMITED, trust_env=False
        )

    def now(self) -> float:
        """Return the seconds since the run began."""
        return round(self._loop.time() - self._start, 3)

    async def saturate(self, *, at_once: int, seconds: float) -> None:
        """Keep so many tasks under way for so long, then wait for their ends."""
        until, numbers = self.now() + seconds, iter(range(1_000_000))

        async def one_after_another() -> None:
            while self.now() < until:
                await self._live(Life(self._wish("before", next(numbers))))

        await asyncio.gather(*(one_after_another() for _ in range(at_once)))

    async def run(self, *, tasks: int, rate: float) -> None:
        """Submit so many at a steady rate; what was begun goes on behind."""
        begun = self.now()
        for number in range(tasks):
            await asyncio.sleep(max(0.0, begun + number / rate - self.now()))
            task = asyncio.create_task(self._live(Life(self._wish("op", number))))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    @property
    def busy(self) -> bool:
        """Say whether any client still waits for the end of its wish."""
        return bool(self._running)

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

    def _wish(self, name: str, number: int) -> Wish:
        return wish(name, number, seed=self._seed, sandbox=self._sandbox, git_url=self._git_url)

    async def _live(self, life: Life) -> None:
        await self._submit(life)
        begun = self.now()
        while not life.over:
            age = self.now() - begun
            if life.to_be_cancelled(age):
                await self._cancel(life)
            await self._poll(life)
            if life.status == "suspended" and life.wish.cancel is None:
                await self._answer(life)
            if life.wish.follow and life.status != "queued":
                await self._follow(life)
            patience = min(_MOST_PAUSE, _PAUSE + age / 10) * (1 + self._rng.random())
            await asyncio.sleep(_EAGER if life.waits_for_a_point else patience)
        if life.to_be_cancelled(0):
            await self._cancel(life)
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
                await asyncio.sleep(_PAUSE * (1 + self._rng.random()))
        if self._rng.random() < 0.1:  # a client that did not hear the answer asks again
            await self._ask(life, "submit", "POST", "/tasks", **options)

    async def _poll(self, life: Life) -> None:
        answer = await self._ask(life, "poll", "GET", f"/tasks/{life.task_id}")
        if answer is not None and answer.status_code == 200:
            task = answer.json()
            life.status, life.phase = task["status"], task["phase"]
            open_ = [each["id"] for each in task["questions"] if each["answer"] is None]
            life.question = open_[0] if open_ else None

    async def _cancel(self, life: Life) -> None:
        answer = await self._ask(life, "cancel", "POST", f"/tasks/{life.task_id}/cancel")
        life.cancelled = answer is not None and answer.status_code == 200

    async def _answer(self, life: Life) -> None:
        body = {"question": life.question, "answer": "This one."}
        await self._ask(life, "answer", "POST", f"/tasks/{life.task_id}/answers", json=body)

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
        if operation == "cancel":
            data["point"] = life.point or "unseen"
        if operation == "events":
            options["headers"] = {"Accept": "application/json"}
        try:
            answer = await self._client.request(method, f"{url}/api/v1{path}", **options)
            result = answer.status_code
            data |= _told(operation, answer)
        except (httpx2.TransportError, AttributeError) as error:
            # The latter is what anyio and uvloop make of a connection that ends as it is opened.
            data["error"] = type(error).__name__
        self.history.add(Entry(operation, life.wish.op, sent, self.now(), result, data))
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
