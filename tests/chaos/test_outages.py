"""Each server away in each way, under one platform that goes on: what is answered meanwhile, and that all ends well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import httpx2
import pytest
import pytest_asyncio
from tests.chaos import outage_place
from tests.chaos.judge import judged
from tests.chaos.outage_place import Place
from tests.chaos.outages import CELLS, DATABASE, Promise, away
from tests.support.distributed import eventually
from tests.support.fault_proxy import Weather

pytestmark = [
    pytest.mark.stack,
    pytest.mark.chaos,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]
SHORT_SECONDS = 1.0
"""How long an agent works that ends while its server is away."""
LONGER_SECONDS = 2.5
"""More than that."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with outage_place.opened(tmp_path_factory.mktemp("outages")) as made:
        yield made


def said(answer: httpx2.Response, good: int, code: str) -> None:
    """Hold when an answer is the good one, or, where there is a code, a 503 that says when to come back."""
    if not code:
        assert answer.status_code == good, answer.text
        return
    body = answer.json()
    assert (answer.status_code, body.get("code") or body["error"]["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) >= 1
    assert body.get("detail") or body["error"]["message"]


async def changes(place: Place, name: str, doomed: str, promise: Promise) -> None:
    """Ask for a task of each kind, and that another one ends."""
    git, zip_, cancel = await asyncio.gather(
        place.submit(f"{name}-git"),
        place.submit(f"{name}-zip", zip_=True),
        place.client.post(f"/api/v1/tasks/{doomed}/cancel"),
    )
    wanted = (
        (git, 202, promise.submits),
        (zip_, 202, promise.zips),
        (cancel, 200, promise.cancels),
    )
    for answer, good, code in wanted:
        if not (promise.refuses and answer.status_code == good):
            said(answer, good, code)


async def reads(place: Place, promise: Promise) -> None:
    """Look at a task that is over, and at the list."""
    path = f"/api/v1/tasks/{place.done}"
    as_events = {"Accept": "text/event-stream"}
    task, tasks, log, stream, artifacts, link = await asyncio.gather(
        place.client.get(path),
        place.client.get("/api/v1/tasks"),
        place.client.get(f"{path}/logs?stream=agent"),
        place.client.get(f"{path}/events", headers=as_events),
        place.client.get(f"{path}/artifacts"),
        place.client.get(f"{path}/artifacts/diff.patch"),
    )
    for answer in (task, tasks, log, stream, artifacts):
        said(answer, 200, promise.reads)
    said(link, 302, promise.reads)
    if not promise.reads:
        assert log.text == "".join(f"line {number}\n" for number in range(1, 51))
        assert "event: done" in stream.text
    if promise.links and not promise.reads:
        link = await place.client.get(f"{path}/artifacts/diff.patch", follow_redirects=True)
        assert link.content == place.patch
    if promise.doors:  # a door must not take a database that is away for a no
        said(await place.client.get(f"{place.url('gateway')}/v1/control"), 401, promise.doors)


@asynccontextmanager
async def alive(place: Place) -> AsyncIterator[None]:
    """Hold when every service said all the time that it lives."""
    asking = True

    async def ask() -> int:
        times = 0
        while asking:
            for each in place.fleet.running:
                answer = await place.client.get(f"{each.url}/healthz")
                assert answer.status_code == 200, each.name
            times += 1
            await asyncio.sleep(0.1)
        return times

    watching = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking = False
        assert await watching


async def told(place: Place, promise: Promise) -> None:
    """Wait until the services name the part that is away, and no other."""
    wanted = {each.name: (promise.ready, {promise.part}) for each in place.fleet.running}
    if promise.refuses:
        wanted = {"api-1": wanted["api-1"]}
    seen: list[object] = []

    async def named() -> bool | None:
        found = await place.problems()
        seen[:] = [found]
        return True if wanted.items() <= found.items() else None

    try:
        await eventually(named, seconds=20, what="/readyz tells")
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from None


@pytest.mark.parametrize(("server", "harm"), CELLS)
async def test_a_server_is_away(place: Place, server: str, harm: str) -> None:
    promise, name = CELLS[server, harm], f"{server}-{harm.replace(' ', '-')}"
    await place.steady()
    _, doomed = await asyncio.gather(
        place.running(f"{name}-short", seconds=SHORT_SECONDS),
        place.running(f"{name}-doomed", seconds=200),
    )
    async with alive(place):
        async with away(place.servers, server, harm):
            if server == "kafka" and harm == "kill":
                place.wiped_at = datetime.now(UTC).replace(tzinfo=None)
            over = asyncio.create_task(asyncio.sleep(LONGER_SECONDS if promise.waits else 0))
            if promise.refuses:
                await place.until_refused(name, DATABASE)
            await asyncio.gather(changes(place, name, doomed, promise), reads(place, promise))
            await told(place, promise)
            await over
        if not promise.refuses:  # else it is told for some seconds more
            await place.well()
    await changes(place, name, doomed, Promise(promise.part))


async def test_nothing_is_lost_and_nothing_is_left(place: Place) -> None:
    """All that was ever taken has ended as it was asked to, in one attempt with one agent's sandbox."""
    await place.steady()
    await place.client.post(f"/api/v1/tasks/{place.steadfast}/cancel")
    events = await place.following
    assert [each["id"] for each in events[:-1]] == list(range(1, len(events)))
    assert events[-1]["event"] == "done"
    found, broken = await judged(place.where, place.history, wiped_at=place.wiped_at)
    assert not broken, "\n".join(map(str, broken[:20]))
    for row in found.rows["tasks"]:
        op = next(each["value"] for each in found.of("task_labels", row["id"]))
        wanted = "cancelled" if op.endswith(("doomed", "steadfast")) else "succeeded"
        (attempt,) = found.of("attempts", row["id"])
        agents = [each for each in found.of("sandboxes", row["id"]) if each["role"] == "agent"]
        assert (row["status"], attempt["takeovers"], len(agents)) == (wanted, 0, 1), op


async def test_services_start_while_every_server_is_away(place: Place) -> None:
    names = [each.name for each in place.fleet.running]
    for proxy in place.servers.proxies.values():
        proxy.turn(Weather.CUT)
    for each in place.fleet.running:
        each.kill()
    place.fleet.running.clear()
    for name in names:
        place.fleet.again(name)
    seen: dict[str, tuple[int, set[str]]] = {}

    async def up() -> bool | None:
        with suppress(httpx2.TransportError):  # not all listen yet
            seen.update(await place.problems())
        return True if len(seen) == len(names) else None

    await eventually(up, seconds=60, what="all services are up")
    everything = {"database", "queue", "redis", "store"}
    assert seen == dict.fromkeys(names, (503, everything))
    for proxy in place.servers.proxies.values():
        proxy.turn(Weather.CLEAR)
    await place.well()
    assert (await place.submit("after all", zip_=True)).status_code == 202
    await place.until("after all", status="succeeded")
