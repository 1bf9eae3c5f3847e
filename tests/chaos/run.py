"""One chaos run: servers, services, clients and nemesis; then rest; then the checker."""

import asyncio
import random
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos import checker, evidence
from tests.chaos.checker import Broken
from tests.chaos.clients import Clients
from tests.chaos.evidence import Evidence, Where
from tests.chaos.history import History
from tests.chaos.nemesis import SERVICES, Fault, Nemesis
from tests.chaos.servers import OwnServers
from tests.support.distributed import Fleet
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.users import make_key, zipped

FILES = {"README.md": "# A shop\n\nSells things.\n"}
SETTLE_SECONDS = 60.0
LEASE_SECONDS = 5.0
SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": "6",
    "CODEXSYS_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "CODEXSYS_RELAY_SECONDS": "1",
}


@dataclass(frozen=True)
class Plan:
    """What to do. The same seed gives the same wishes and the same faults."""

    seed: int
    seconds: float = 60.0
    rate: float = 1.5
    most_faults: int | None = None
    longest_fault: float = 6.0


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    faults: list[Fault]
    broken: list[Broken]
    settled_after: float | None
    """Seconds from the last fault to rest; None when there was no rest in time."""
    evidence: Evidence
    history: History
    ended_by_themselves: list[str] = field(default_factory=list)


@dataclass
class Chaos:
    """Everything that runs."""

    servers: OwnServers
    fleet: Fleet
    clients: Clients
    history: History
    where: Where
    started: datetime


async def run(plan: Plan, report: Path) -> Outcome:
    """Do it all; what the services logged stays in `report`."""
    report.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one folder, before anything runs
    async with AsyncExitStack() as stack:
        chaos = await _opened(stack, plan, report)
        try:
            return await _done(chaos, plan)
        finally:
            for log in chaos.fleet.folder.glob("*.log"):
                shutil.copy(log, report)


async def _opened(stack: AsyncExitStack, plan: Plan, report: Path) -> Chaos:
    home = Path(tempfile.mkdtemp(prefix="codexsys-chaos-run-"))
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    make_repository(home / "git" / "shop", FILES)
    git = stack.enter_context(GitHttpServer(home / "git"))
    servers = await stack.enter_async_context(OwnServers())
    settings = dict(SETTINGS)
    fleet = Fleet(folder=home / "hosts", redis_number=1, settings=settings, where=servers.direct)
    settings |= servers.settings(fleet.servers.name, 1)
    await stack.enter_async_context(fleet)
    await asyncio.gather(*(fleet.start(name[:-2], int(name[-1])) for name in SERVICES))
    history = History(report / "history.jsonl")
    stack.callback(history.close)
    clients = Clients(
        history=history,
        urls=[each.url for each in fleet.named("api")],
        key=await make_key(fleet.servers, "chaos"),
        archive=zipped(FILES),
        git_url=git.url("shop"),
        rng=random.Random(f"clients {plan.seed}"),
    )
    stack.push_async_callback(clients.close)
    direct = servers.direct
    where = Where(
        mysql=fleet.servers.database,
        s3=direct["CODEXSYS_TEST_S3_URL"],
        s3_key=direct["CODEXSYS_TEST_S3_KEY"],
        s3_secret=direct["CODEXSYS_TEST_S3_SECRET"],
        suffix=fleet.servers.suffix,
        kafka=direct["CODEXSYS_TEST_KAFKA"],
        hosts=fleet.folder,
    )
    return Chaos(servers, fleet, clients, history, where, datetime.now(UTC))


async def _done(chaos: Chaos, plan: Plan) -> Outcome:
    nemesis = Nemesis(
        fleet=chaos.fleet,
        servers=chaos.servers,
        rng=random.Random(f"nemesis {plan.seed}"),
        now=chaos.clients.now,
        longest=plan.longest_fault,
    )
    submitting = asyncio.create_task(chaos.clients.run(seconds=plan.seconds, rate=plan.rate))
    await nemesis.run(seconds=plan.seconds, most=plan.most_faults)
    await submitting
    rested = chaos.clients.now()
    found, settled = await _settled(chaos)
    last = nemesis.faults[-1].mended if nemesis.faults else rested
    broken = checker.broken(found, chaos.history)
    broken += await _read_everything(chaos, found, nemesis)
    alive = {each.name for each in chaos.fleet.running if each.process.poll() is None}
    return Outcome(
        plan=plan,
        faults=nemesis.faults,
        broken=broken,
        settled_after=None if settled is None else settled - last,
        evidence=found,
        history=chaos.history,
        ended_by_themselves=sorted(set(SERVICES) - alive),
    )


async def _settled(chaos: Chaos) -> tuple[Evidence, float | None]:
    """Wait for rest, as clients and as rows see it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_SECONDS
    while True:
        found = await evidence.gathered(chaos.where)
        moving = checker.unsettled(found)
        if not moving:
            now = chaos.clients.now()
            await chaos.clients.settle(max(5.0, deadline - loop.time()))
            return await evidence.gathered(chaos.where), now
        if loop.time() > deadline:
            return found, None
        await asyncio.sleep(1)


async def _read_everything(chaos: Chaos, found: Evidence, nemesis: Nemesis) -> list[Broken]:
    client, where = evidence.store(chaos.where), chaos.where
    unequal = await asyncio.to_thread(
        checker.unequal_artifacts, found, lambda name: evidence.digest(client, where, name)
    )
    found.results = await evidence.some_results(where, 30)
    wipes = [fault.mended for fault in nemesis.faults if fault.what == "wipe"]
    wiped: Any = None
    if wipes:
        wiped = (chaos.started + timedelta(seconds=wipes[-1] + 1)).replace(tzinfo=None)
    return unequal + checker.wrong_results(found, wiped_at=wiped)
