"""One chaos run: servers, services, clients and nemesis; then rest; then the checker."""

import asyncio
import json
import random
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos import checker, evidence
from tests.chaos.at_work import clients_of
from tests.chaos.checker import Broken
from tests.chaos.clients import Clients
from tests.chaos.evidence import Evidence, Where
from tests.chaos.history import History
from tests.chaos.nemesis import SERVICES, Fault, Nemesis
from tests.chaos.place import seen
from tests.chaos.servers import OwnServers
from tests.support.distributed import Fleet

SETTLE_SECONDS = 60.0
LEASE_SECONDS = 5.0
SETTINGS = {
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "CODEXSYS_RELAY_SECONDS": "1",
}
SLOTS = {"dummy": 40, "local": 6}
"""Of each worker: so many that those who only wait keep nobody from work."""
CLIENTS_SECONDS = 20.0
"""Later than that every client has seen the end of its task, too."""
SATURATED_SECONDS, WARM_SECONDS = 80.0, 20.0
"""What ends in the first seconds, or in few, says little: all slots begin at once, and a task takes some ten seconds."""
SHARE, MOST_RATE = 0.8, 20.0
"""Of the rate that is sustained without faults."""


@dataclass(frozen=True)
class Plan:
    """What to do. The same seed gives the same wishes and the same faults in the same order."""

    seed: int
    tasks: int = 90
    rate: float | None = 1.5
    """Tasks a second; None: as many as `SHARE` of what is sustained without faults, which is measured."""
    faults: int | None = None
    """Spread evenly over the run; None: one after another."""
    longest_fault: float = 6.0
    sandbox: str = "dummy"
    apart: bool = False
    """Whether workers cannot reach each other's sandboxes, so that a dead one's tasks go on from checkpoints."""


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    sustained: float | None
    """Tasks a second without faults, if that was measured."""
    rate: float
    faults: list[Fault]
    broken: list[Broken]
    settled_after: float | None
    """Seconds from the last fault to rest; None when there was no rest in time."""
    evidence: Evidence
    history: History
    wrong: list[str] = field(default_factory=list)
    """What services did that nobody told them to."""


@dataclass
class Chaos:
    """Everything that runs."""

    servers: OwnServers
    fleet: Fleet
    clients: Clients
    where: Where
    started: datetime


async def run(plan: Plan, report: Path) -> Outcome:
    """Do it all; what the services logged stays in `report`."""
    report.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one folder, before anything runs
    async with AsyncExitStack() as stack:
        chaos = await _opened(stack, plan, report)
        try:
            outcome = await _done(chaos, plan)
            _keep(outcome.evidence, report)
            return outcome
        finally:
            for log in chaos.fleet.folder.glob("*.log"):
                shutil.copy(log, report)


def _keep(found: Evidence, report: Path) -> None:
    """Keep the rows of what was judged, so that whoever looks for a cause has them."""
    rows = {table: each for table, each in found.rows.items() if table != "log_chunks"}
    (report / "rows.json").write_text(json.dumps(rows, default=str))


async def _opened(stack: AsyncExitStack, plan: Plan, report: Path) -> Chaos:
    home = Path(tempfile.mkdtemp(prefix="codexsys-chaos-run-"))
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    servers = await stack.enter_async_context(OwnServers())
    settings = _settings(plan, home / "hosts")
    fleet = Fleet(folder=home / "hosts", redis_number=1, settings=settings, where=servers.direct)
    settings |= servers.settings(fleet.servers.name, 1)
    history = report / "history.jsonl"
    clients = await stack.enter_async_context(
        clients_of(fleet, SERVICES, history, seed=plan.seed, sandbox=plan.sandbox)
    )
    return Chaos(servers, fleet, clients, seen(fleet), datetime.now(UTC))


def _settings(plan: Plan, hosts: Path) -> dict[str, str]:
    settings = SETTINGS | {
        "CODEXSYS_SANDBOX": plan.sandbox,
        "CODEXSYS_WORKER_SLOTS": str(SLOTS[plan.sandbox]),
    }
    if plan.apart:
        return settings | {"CODEXSYS_TAKEOVER_GRACE_SECONDS": "2"}
    return settings | {"CODEXSYS_DATA_DIR": str(hosts / "one")}


async def _done(chaos: Chaos, plan: Plan) -> Outcome:
    sustained = None if plan.rate is not None else await _sustained(chaos, plan)
    rate = plan.rate or min(MOST_RATE, SHARE * (sustained or 0.0))
    print(f"{plan.tasks} tasks at {rate:.2f}/s; sustained without faults: {sustained}", flush=True)
    nemesis = Nemesis(
        fleet=chaos.fleet,
        servers=chaos.servers,
        rng=random.Random(f"nemesis {plan.seed}"),
        now=chaos.clients.now,
        longest=plan.longest_fault,
    )
    submitting = asyncio.create_task(chaos.clients.run(tasks=plan.tasks, rate=rate))
    await nemesis.run(seconds=plan.tasks / rate, faults=plan.faults)
    await submitting
    last = nemesis.faults[-1].mended if nemesis.faults else chaos.clients.now()
    settled = await _settled(chaos, last + SETTLE_SECONDS)
    nemesis.look_after()
    found = await evidence.gathered(chaos.where)
    broken = await asyncio.to_thread(checker.broken, found, chaos.clients.history)
    broken += await _read_everything(chaos, found, nemesis)
    return Outcome(
        plan=plan,
        sustained=sustained,
        rate=rate,
        faults=nemesis.faults,
        broken=broken,
        settled_after=None if settled is None else settled - last,
        evidence=found,
        history=chaos.clients.history,
        wrong=nemesis.wrong,
    )


async def _sustained(chaos: Chaos, plan: Plan) -> float:
    """Measure how many tasks a second end while there is always one more that waits for a slot."""
    at_once = 2 * SLOTS[plan.sandbox]
    begun = datetime.now(UTC)
    await chaos.clients.saturate(at_once=at_once, seconds=SATURATED_SECONDS)
    span = (
        begun + timedelta(seconds=WARM_SECONDS),
        begun + timedelta(seconds=SATURATED_SECONDS),
    )
    return await evidence.finished_between(chaos.where, *span) / (SATURATED_SECONDS - WARM_SECONDS)


async def _settled(chaos: Chaos, until: float) -> float | None:
    """Wait for rest, also of the clients; say since when it was there, None if it was not in time."""
    since: float | None = None
    while since is None or chaos.clients.busy:
        moving = await evidence.moving(chaos.where)
        now = chaos.clients.now()
        since = None if moving else since or now
        if now > until and (moving or now > until + CLIENTS_SECONDS):
            print(f"no rest: {len(moving)} still move: {moving[:5]}", flush=True)
            return None
        await asyncio.sleep(0.5)
    return since


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
