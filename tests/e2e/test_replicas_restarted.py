"""Replicas behind nginx, restarted in turn or killed, under all that clients and sandboxes do: what must not fail."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.support.distributed import Fleet, eventually
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.model_server import ModelServer
from tests.support.models_file import models_file
from tests.support.nginx import Nginx
from tests.support.place import FINISH, bash
from tests.support.users import User, make_key, zipped
from tests.support.witness import agrees, follow, log_is_whole

from codexsys_client import AsyncClient

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(480),
]

DRAIN = 2.5
PACE = 40
"""Requests a second of all clients together: what a caller may send, 50, less room for streams and waits."""
LONG = ("one", "two")
"""Models, each with a task that calls it again and again."""
LIMITS = {"attempts": 1, "steps": 500, "calls": 500, "tokens": 50_000_000}
SETTINGS = {
    "CODEXSYS_SANDBOX": "local",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": str(len(LONG)),  # so that whatever else is submitted waits
    "CODEXSYS_DRAIN_SECONDS": str(DRAIN),
}
ENTRY = "from codexsys_cli.main import main; main()"


@dataclass
class Front:
    """The fleet behind nginx."""

    fleet: Fleet
    nginx: Nginx
    model: ModelServer
    ada: User
    key: str
    repository: str
    settings: dict[str, str]

    async def restart(self, name: str) -> None:
        """SIGTERM, wait, start again, wait until it is ready."""
        running = next(each for each in self.fleet.named(name))
        await running.stop()
        await self.fleet.until_ready(self.fleet.again(name, **self.settings))

    async def used(self, name: str) -> None:
        """Wait until nginx sends requests there again."""
        began, mark = len(self.nginx.log()), f"[127.0.0.1:{self.fleet.port(name)}] [200]"

        async def seen() -> bool | None:
            return True if any(mark in line for line in self.nginx.log()[began:]) else None

        await eventually(seen, seconds=30, what=f"nginx uses {name} again")

    def client(self, url: str | None = None) -> AsyncClient:
        return AsyncClient(url or self.nginx.url, self.key)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as running:
        running.thinks = ("I ", "think ", "for ", "a ", "second. ")
        more = bash("date +%N; seq 40; date +%N >> notes.txt")
        running.scripts = {name: [more] for name in LONG}
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(
    tmp_path_factory: pytest.TempPathFactory, model: ModelServer
) -> AsyncIterator[Front]:
    folder = tmp_path_factory.mktemp("rolling")
    make_repository(folder / "git" / "shop", {"README.md": "# A shop\n"})
    upstream = {"name": "scripts", "url": model.url("script"), "models": LONG}
    settings = SETTINGS | {"CODEXSYS_MODELS_FILE": str(models_file(folder, [upstream]))}
    fleet = Fleet(folder=folder / "hosts", redis_number=6, settings=settings)
    nginx = Nginx(
        folder / "nginx",
        apis=[fleet.port(f"api-{n}") for n in (1, 2)],
        gateways=[fleet.port(f"gateway-{n}") for n in (1, 2)],
        fail_timeout=1,
        keepalive_timeout=2,
    )
    ours = {"CODEXSYS_PUBLIC_URL": nginx.url, "CODEXSYS_GATEWAY_URL": nginx.door_url}
    with GitHttpServer(folder / "git") as git:
        async with fleet:
            with nginx:
                replicas = [(service, n) for service in ("api", "gateway") for n in (1, 2)]
                await asyncio.gather(
                    *(
                        fleet.start(each, number, **ours)
                        for each, number in [*replicas, ("relay", 1), ("worker", 1)]
                    )
                )
                key = await make_key(fleet.servers, "ours")
                headers = {"Authorization": f"Bearer {key}"}
                async with httpx2.AsyncClient(
                    base_url=nginx.url, headers=headers, timeout=30, trust_env=False
                ) as client:
                    ada = User(client, "ours")
                    yield Front(fleet, nginx, model, ada, key, git.url("shop"), ours)


@dataclass
class Traffic:
    """What clients do again and again, and how each of it was answered."""

    front: Front
    seen: Counter[tuple[str, object]] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _next: float = 0.0

    async def again(self, what: str, ask: Callable[[], Awaitable[httpx2.Response]]) -> None:
        while not self.over.is_set():
            await self.once(what, ask())
            await asyncio.sleep(0.05)

    async def once(self, what: str, asked: Awaitable[httpx2.Response]) -> httpx2.Response | None:
        await self._turn()
        try:
            answer = await asked
        except httpx2.HTTPError as error:
            self.seen[what, repr(error)] += 1
            return None
        self.seen[what, answer.status_code] += 1
        return answer

    async def _turn(self) -> None:
        turn = max(time.monotonic(), self._next)
        self._next = turn + 1 / PACE
        await asyncio.sleep(turn - time.monotonic())

    async def submitting(self, what: str, post: Callable[[int], dict[str, Any]]) -> None:
        """Submit and cancel again and again, on connections of its own."""
        number = 0
        http = self.front.ada.client
        async with httpx2.AsyncClient(
            base_url=self.front.nginx.url, headers=http.headers, timeout=30, trust_env=False
        ) as client:
            while not self.over.is_set():
                number += 1
                made = await self.once(what, client.post("/api/v1/tasks", **post(number)))
                if made is not None and made.status_code == 202:
                    path = f"/api/v1/tasks/{made.json()['id']}"
                    await self.once("cancel", client.post(f"{path}/cancel"))
                    await self.once("show", client.get(path))
                await asyncio.sleep(0.1)

    async def more(self, count: int) -> None:
        """Wait until so many more were answered."""
        until = sum(self.seen.values()) + count

        async def answered() -> bool | None:
            return True if sum(self.seen.values()) >= until else None

        await eventually(answered, seconds=60, what=f"{count} more answers")

    def failed(self) -> dict[tuple[str, object], int]:
        good = {200, 202, 304}
        return {seen: count for seen, count in self.seen.items() if seen[1] not in good}


async def _long_tasks(front: Front) -> dict[str, str]:
    """Submit a task of each model, and wait until both have called it."""
    body = {"prompt": "Go on in README.md.", "checks": {"strategy": "skip"}, "limits": LIMITS}
    source = {"source": {"git": {"url": front.repository}}}
    tasks = {name: await front.ada.submit(body | source | {"model": name}) for name in LONG}

    async def called() -> bool | None:
        return True if all(front.model.calls[name] for name in LONG) else None

    await eventually(called, seconds=60, what="both models are called")
    return tasks


async def _slow_upload(front: Front, traffic: Traffic) -> None:
    """Upload a zip so slowly that replicas restart meanwhile."""
    archive = zipped({"noise.bin": os.urandom(200_000)})

    async def slowly() -> AsyncIterator[bytes]:
        head = (
            b'--x\r\nContent-Disposition: form-data; name="task"\r\n\r\n{"prompt": "x"}\r\n'
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
        )
        yield head
        for at in range(0, len(archive), 2000):
            yield archive[at : at + 2000]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(traffic.over.wait(), 0.1)
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    post = front.ada.client.post("/api/v1/tasks", content=slowly(), headers=headers, timeout=120)
    made = await traffic.once("slow zip", post)
    if made is not None and made.is_success:
        await traffic.once(
            "cancel", front.ada.client.post(f"/api/v1/tasks/{made.json()['id']}/cancel")
        )


async def _command(front: Front, url: str, *arguments: str) -> tuple[int | None, str, str]:
    """Run `codexsys` at one replica, and return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENTRY, *arguments),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(front.fleet.folder),
            "CODEXSYS_URL": url,
            "CODEXSYS_API_KEY": front.key,
        },
        cwd=front.fleet.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()


async def test_replicas_are_restarted_in_turn_and_nothing_fails(front: Front) -> None:
    ada, traffic = front.ada, Traffic(front)
    tasks = await _long_tasks(front)
    first, second = tasks.values()
    git = {"prompt": "x", "source": {"git": {"url": front.repository}}}
    archive = zipped({"a.txt": "a\n"})
    parts = {"task": (None, json.dumps({"prompt": "x"})), "file": ("a.zip", archive)}
    asking = [
        traffic.submitting("git", lambda _: {"json": git}),
        traffic.submitting(
            "git with a key",
            lambda n: {"json": git, "headers": {"Idempotency-Key": f"rolling-{n}"}},
        ),
        traffic.submitting("zip", lambda _: {"files": parts}),
        traffic.again("list", lambda: ada.client.get("/api/v1/tasks?limit=5")),
        traffic.again("wait", lambda: ada.client.get(f"/api/v1/tasks/{first}?wait=2")),
        traffic.again("log", lambda: ada.client.get(f"/api/v1/tasks/{second}/logs?stream=agent")),
        _slow_upload(front, traffic),
    ]
    async with front.client() as client:
        events = [asyncio.create_task(_all(client.events(task))) for task in tasks.values()]
        log = asyncio.create_task(_all(client.follow_log(first)))
        # Each at one replica, with nothing before it that could hide its restart.
        apis = {each.name: each.url for each in front.fleet.named("api")}
        shown = asyncio.create_task(_command(front, apis["api-1"], "logs", "-f", first))
        watched = asyncio.create_task(_command(front, apis["api-2"], "watch", second, "--json"))
        clients = [asyncio.create_task(each) for each in asking]
        async with asyncio.TaskGroup() as group:
            for service in ("api", "gateway"):
                group.create_task(_in_turn(front, service))
        traffic.over.set()
        for name in LONG:
            front.model.scripts[name] = [FINISH]
        await asyncio.wait_for(asyncio.gather(*clients), 60)
        ended = {name: await ada.finished(task, seconds=60) for name, task in tasks.items()}
        told, chunks = await asyncio.gather(*events), await log
        (shown_code, shown_log, _), (code, last, said) = await shown, await watched

    assert traffic.failed() == {}, front.nginx.log("error.log")[-40:]
    assert {what for what, _ in traffic.seen} >= {"git", "git with a key", "zip", "slow zip"}
    for name, task in ended.items():
        assert task["status"] == "succeeded", json.dumps(task)
        assert task["usage"]["calls"] == front.model.calls[name]
    for (name, task_id), seen in zip(tasks.items(), told, strict=True):
        steps = [each for each in seen if each["type"] == "agent.step"]
        assert len(steps) == front.model.calls[name]
        live = [{"id": each["id"], "event": each["type"], "data": each} for each in seen]
        await agrees(ada, task_id, [*live, {"id": seen[-1]["id"], "event": "done", "data": {}}])
    whole = await log_is_whole(ada, first, "agent")
    assert "".join(chunk.text for chunk in chunks) == whole
    assert (shown_code, shown_log) == (0, whole)
    assert (code, json.loads(last)["status"]) == (0, "succeeded"), said


async def test_a_killed_api_fails_nothing_that_is_the_same_done_twice(front: Front) -> None:
    ada, traffic = front.ada, Traffic(front)
    git = {"prompt": "x", "source": {"git": {"url": front.repository}}}
    task_id = await ada.submit(git | {"model": "one"})
    asking = [
        traffic.submitting(
            "git with a key",
            lambda n: {"json": git, "headers": {"Idempotency-Key": f"killed-{n}"}},
        ),
        traffic.again("list", lambda: ada.client.get("/api/v1/tasks?limit=5")),
        traffic.again("show", lambda: ada.client.get(f"/api/v1/tasks/{task_id}")),
        traffic.again("wait", lambda: ada.client.get(f"/api/v1/tasks/{task_id}?wait=2")),
    ]
    clients = [asyncio.create_task(each) for each in asking]
    for number in (1, 2):
        await traffic.more(100)
        (victim,) = front.fleet.named(f"api-{number}")
        victim.kill()
        await traffic.more(100)
        again = front.fleet.again(victim.name, **front.settings)
        await front.fleet.until_ready(again)
        await front.used(victim.name)  # else none would be left for nginx when the other one goes
    traffic.over.set()
    await asyncio.wait_for(asyncio.gather(*clients), 60)
    assert traffic.failed() == {}, front.nginx.log("error.log")[-40:]


async def test_a_reload_of_nginx_ends_no_stream(front: Front) -> None:
    script = "for n in $(seq 60); do echo $n; sleep 0.05; done"
    body = {"prompt": "x", "engine": "command", "command": script, "mode": "explain"}
    task_id = await front.ada.submit(body | {"source": {"git": {"url": front.repository}}})
    reloads = 0
    async for chunk in follow(front.ada, f"/tasks/{task_id}/logs?stream=agent"):
        if reloads < 2 and chunk["event"] == "log":
            front.nginx.reload()
            reloads += 1
    assert reloads == 2
    lines = (await log_is_whole(front.ada, task_id, "agent")).splitlines()
    assert [line for line in lines if line.isdecimal()] == [str(n) for n in range(1, 61)]


async def test_what_nginx_refuses_is_a_problem(front: Front) -> None:
    url = front.nginx.url
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as anyone:
        _is_problem(
            await anyone.get("/healthz", headers={"B": "b" * 40_000}), 431, "header_too_large"
        )
        _is_problem(await anyone.get("/metrics"), 404, "not_found")
        _is_problem(await anyone.get("/readyz"), 404, "not_found")
        large = {"/api/v1/keys": 3 << 20, "/api/v1/tasks": 300 << 20}
        large |= {f"/{place}/a-secret": 300 << 20 for place in ("s", "sign-in", "objects")}
        announced = (_announced(front.nginx.port, *each) for each in large.items())
        for said in await asyncio.gather(*announced):
            assert said.startswith(b"HTTP/1.1 413 ")
            assert b'"code":"too_large"' in said
        hasty = {"Authorization": "Bearer hasty"}
        many = await asyncio.gather(*(anyone.get("/healthz", headers=hasty) for _ in range(250)))
        refused = [each for each in many if each.status_code != 200]
        assert refused
        for each in refused:
            _is_problem(each, 429, "rate_limited")
            assert {"retry-after", "ratelimit", "ratelimit-policy"} <= set(each.headers)
        assert (await anyone.get("/healthz")).status_code == 200  # others are not kept out
        await anyone.get("/s/a-secret?and=another")
    # It notes as errors what it refuses itself, with whole addresses.
    assert [line for line in front.nginx.log("error.log") if "/api/v1/keys" in line]
    assert [line for line in front.nginx.log() if "/s/" in line]
    for line in (*front.nginx.log(), *front.nginx.log("error.log")):
        assert "secret" not in line
        assert "another" not in line


async def _announced(port: int, path: str, size: int) -> bytes:
    """Announce a body, send nothing of it, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def _is_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"]
    assert body["detail"]


async def _in_turn(front: Front, service: str) -> None:
    for number in (1, 2, 1, 2):
        await front.restart(f"{service}-{number}")


async def _all(stream: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in stream]
