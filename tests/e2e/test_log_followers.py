"""Logs as they grow, read once for all who follow: each reader gets every byte after its own place, once."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from tests.support.api_service import Served, serving
from tests.support.browser import fresh_profile
from tests.support.place import open_place

from codexsys_api.main import Api
from codexsys_api.stream import EventStream
from codexsys_core.artifact import Artifact
from codexsys_core.attempt import Ending
from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import Environment
from codexsys_core.log import CHUNK_BYTES
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.verdict import Checks
from codexsys_relay.retention import Retention, Terms
from codexsys_wiring.http_server import HttpServer

GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}
DEADLINE = 30
STREAM = "/api/v1/tasks/{}/logs?stream=agent"
FAR = 10**12


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def submitted(served: Served) -> str:
    answer = await served.client.post("/api/v1/tasks", json=GIT)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def said(served: Served, task_id: str, number: int, text: bytes) -> None:
    """Add to a log as a gateway does."""
    await served.platform.logs.append(task_id, "sbx_a", "agent", number, text)
    await served.platform.hints.tell(f"task:{task_id}")


class Reader:
    """Follows a log from an offset on, and holds each message against the one before it."""

    def __init__(self, served: Served, task_id: str, after: int) -> None:
        self._client = served.client
        self._path = STREAM.format(task_id)
        self._last = {"accept": "text/event-stream", "last-event-id": str(after)}
        self.text = ""
        self.at = after
        self.longest = 0
        self.opened = asyncio.Event()

    async def read(self) -> str:
        """Read to the end."""
        async with self._client.stream("GET", self._path, headers=self._last) as answer:
            self.opened.set()
            name, number = "", 0
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                name = value if field == "event" else name
                number = int(value) if field == "id" else number
                if field == "data" and name == "log":
                    self._take(json.loads(value), number)
        assert name == "done"
        return self.text

    def _take(self, data: dict[str, str | int], number: int) -> None:
        text = str(data["text"])
        assert (data["offset"], number) == (self.at, self.at + len(text.encode()))
        self.text, self.at = self.text + text, number
        self.longest = max(self.longest, len(text))


async def test_all_who_follow_a_log_read_it_whole_whenever_they_came(served: Served) -> None:
    task_id, whole = await submitted(served), b""
    readers: list[tuple[Reader, asyncio.Task[str], int]] = []

    async def joins(after: int) -> None:
        reader = Reader(served, task_id, after)
        readers.append((reader, asyncio.create_task(reader.read()), after))
        await reader.opened.wait()

    async with asyncio.timeout(DEADLINE):
        for number in range(1, 31):
            line = f"line {number}: größer als ASCII\n".encode() * 300
            if number % 10 == 1:
                await joins(0)
                await joins(len(whole))
                await joins(len(whole) // 2 // 30 * 30)  # amid what was sent in one piece
            whole += line
            await said(served, task_id, number, line)
        assert (await served.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
        texts = [await reading for _, reading, _ in readers]
    assert [text.encode() for text in texts] == [whole[after:] for _, _, after in readers]


async def test_who_follows_is_told_at_once_of_what_setup_and_checks_say(tmp_path: Path) -> None:
    """By hints: without one, whoever follows looks again after a second only."""
    patch = "diff --git a/b b/b\nnew file mode 100644\n--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+b\n"
    steps = {"ENVIRONMENT_CHATTER": "3", "CHECKS_CHATTER": "3", "PATCH": patch}
    async with open_place(tmp_path / "data", sandbox="dummy") as place:
        logs, hints = place.platform.logs, place.platform.hints
        task_id = await place.submit(
            await place.zip_source({"a": "a\n"}),
            environment=Environment(
                setup="true", variables={f"DUMMY_{name}": said for name, said in steps.items()}
            ),
            checks=Checks(command="true"),
        )
        heard: list[str] = []
        async with asyncio.timeout(DEADLINE), hints.listen(f"task:{task_id}") as told:
            async for _ in told:
                there = [each for each in ("setup", "verify") if await logs.size(task_id, each)]
                heard += [each for each in there if each not in heard]
                if "verify" in there:
                    break
        assert heard == ["setup", "verify"]
        await place.until(task_id)


async def test_one_who_claims_to_have_read_what_is_not_there_disturbs_nobody(
    served: Served,
) -> None:
    task_id = await submitted(served)
    await said(served, task_id, 1, b"first\n")
    async with served.client.stream(
        "GET",
        STREAM.format(task_id),
        headers={"accept": "text/event-stream", "last-event-id": str(FAR)},
    ) as wrong:
        pieces = wrong.aiter_text()
        reader = Reader(served, task_id, 0)
        reading = asyncio.create_task(reader.read())
        await reader.opened.wait()
        await said(served, task_id, 2, b"second\n")
        async with asyncio.timeout(DEADLINE):
            assert '"text":"second\\n"' in await anext(pieces)
            await served.client.post(f"/api/v1/tasks/{task_id}/cancel")
            assert await reading == "first\nsecond\n"


async def test_a_log_that_has_become_a_file_is_followed_in_pieces(served: Served) -> None:
    platform, task_id = served.platform, await submitted(served)
    claim = await platform.attempts.claim(task_id, owner="own_a", lease_seconds=60)
    assert claim is not None
    whole = b"".join(b"%d %s\n" % (number, b"x" * (number % 900)) for number in range(2500))
    for number in range(len(whole) // CHUNK_BYTES + 1):
        piece = whole[number * CHUNK_BYTES :][:CHUNK_BYTES]
        await platform.logs.append(task_id, "sbx_a", "agent", number + 1, piece)
    await platform.logs.seal(claim.hold, "agent")
    name = f"codexsys-logs/logs/{task_id}/{claim.hold.writer}/agent.log"
    size, sha256 = await platform.objects.put(name, whole)
    ending = Ending(
        status=TaskStatus.SUCCEEDED,
        outcome=Outcome(reason=EndReason.FINISHED),
        artifacts=(Artifact(name="agent.log", object=name, size=size, sha256=sha256),),
    )
    assert await platform.attempts.end(claim.hold, ending)
    from_rows = Reader(served, task_id, 0)
    async with asyncio.timeout(DEADLINE):
        assert await from_rows.read() == whole.decode()
        await Retention(
            store=platform.retention,
            uploads=platform.uploads,
            objects=platform.objects,
            clock=platform.clock,
            terms=Terms(code_days=1, artifact_days=1, log_days=-1, checkpoints=2),
        ).once()
        assert await platform.logs.read(task_id, "agent", 0) == []
        for after in (0, 7, CHUNK_BYTES, len(whole) - 1, len(whole), FAR):
            from_file = Reader(served, task_id, min(after, len(whole)))
            assert await from_file.read() == whole[after:].decode()
            assert from_file.longest <= CHUNK_BYTES


@pytest.mark.browser
async def test_a_page_goes_on_with_its_log_after_the_api_was_restarted(served: Served) -> None:
    task_id, number = await submitted(served), 0

    async def says_more() -> None:
        nonlocal number
        number += 1
        lines = "".join(f"{number}: größer als ASCII {line}\n" for line in range(300))
        await said(served, task_id, number, lines.encode())

    async with fresh_profile(served.url) as person:
        page = person.page
        await person.open("/sign-in")
        await page.get_by_label("API key").fill(served.key)
        assert await person.press("Sign in") == 200
        await says_more()
        await person.open(f"/tasks/{task_id}?tab=log")
        panel = page.locator("[data-log]")
        await says_more()
        await expect(panel).to_contain_text("2: größer als ASCII 299")
        served.api.stop()
        await says_more()
        await expect(panel.locator("[data-state]")).to_contain_text("Not live since")
        await says_more()
        again = Api(served.platform)
        running = asyncio.create_task(again.run())
        await expect(panel).to_contain_text("4: größer als ASCII 299")
        await says_more()
        await expect(panel).to_contain_text("5: größer als ASCII 299")
        shown = await panel.evaluate("(panel) => panel.log.lines.join('\\n') + '\\n'")
        stored = await served.platform.logs.read(task_id, "agent", 0)
        assert shown.encode() == b"".join(chunk.text for chunk in stored)
        await page.close()
        for words in ("net::ERR_", "htmx:error: Failed to fetch"):  # the API was away
            person.forgive(words)
    again.stop()
    await running


async def test_who_takes_nothing_is_let_go_and_told_where_to_go_on() -> None:
    sent, over = 0, asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        try:
            while True:
                sent += 1
                yield b"id: %d\ndata: %s\n\n" % (sent, b"x" * 60_000)
        finally:
            over.set()

    async def stream(_: Request) -> EventStream:
        return EventStream(endless(), patience_seconds=0.3)  # type: ignore[arg-type]

    server = HttpServer(
        Starlette(routes=[Route("/", stream)]),
        drain_seconds=0,
        grace_seconds=5,
        leaving=over.set,
        host="127.0.0.1",
        port=0,
    )
    serving_ = asyncio.create_task(server.serve())
    async with asyncio.timeout(DEADLINE):
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, server.servers[0].sockets[0].getsockname())
        await loop.sock_sendall(slow, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await over.wait()
        taken = b""
        while piece := await loop.sock_recv(slow, 1 << 20):
            taken += piece
        slow.close()
    server.stop()
    await serving_
    numbers = [int(part.partition(b"\n")[0]) for part in taken.split(b"id: ")[1:]]
    assert numbers == list(range(1, sent))  # the last one was not sent
    assert b": nothing was taken for long; go on from the last id\nretry: 1000\n\n" in taken[-200:]
    assert taken.endswith(b"0\r\n\r\n")
