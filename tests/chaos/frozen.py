"""Workers frozen for three leases, then thawed: `python -m tests.chaos.frozen --rounds 50`, judged from outside."""

import argparse
import asyncio
import json
import random
import re
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.checker import Broken, adoptions
from tests.chaos.evidence import Evidence, Row, selected
from tests.chaos.place import SKIP, Place, opened
from tests.support.distributed import Running, eventually

LEASE = 2.0
FROZEN_SECONDS = 3 * LEASE
OWNED_SECONDS = 120.0
"""A busy machine is given time: a worker that hears the database late believes no lease to have run out."""
TASKS = 4
"""New ones in each round; those of the round before may still be at work."""
SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_LEASE_SECONDS": f"{LEASE:g}",
    "CODEXSYS_RELAY_SECONDS": "0.5",
    "CODEXSYS_WORKER_SLOTS": "8",
    # Workers adopt; a relay that restarted an agent would end a sandbox that lives.
    "CODEXSYS_TAKEOVER_GRACE_SECONDS": "30",
}
FOLDER = Path(__file__).parents[2] / "build" / "frozen"
_EXPIRED = """
SELECT id, owner, takeovers, lease_until FROM attempts
WHERE state = 'running' AND lease_until <= UTC_TIMESTAMP(6)
"""
_LEASES = re.compile(r"^codexsys_leases (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Figures:
    """What the rounds came to."""

    seed: int
    rounds: int
    held: int
    """Attempts that the frozen workers held when they were frozen."""
    tasks: int
    succeeded: int
    adopted: int
    stale_writes: int
    """Of what a former owner wrote, what was taken; and any other promise that was not kept."""
    killed: int
    """Sandboxes of agents that ended before their attempt did."""

    @property
    def missed(self) -> bool:
        """Say whether anything is not as it must be."""
        wrong = self.stale_writes + self.killed + (self.tasks - self.succeeded)
        return wrong > 0 or self.adopted == 0


def shown_twice(found: Evidence, task: Row) -> list[Broken]:
    """Return a phase that an attempt came to a second time: only a former owner would show it again."""
    seen: set[tuple[int, str]] = set()
    wrong = []
    for event in sorted(found.of("events", task["id"]), key=lambda row: row["seq"]):
        if event["type"] == "task.running":  # queued again, it begins anew
            seen.clear()
        if event["type"] == "task.phase":
            phase = (event["attempt"], json.loads(event["data"])["phase"])
            if phase in seen:
                wrong.append(Broken("no stale write is accepted", task["id"], f"{phase} twice"))
            seen.add(phase)
    return wrong


def killed(found: Evidence, task: Row) -> int:
    """Count agents' sandboxes that lived, and did not end with their attempt."""
    shown = [row["at"] for row in found.of("events", task["id"]) if row["type"] == "task.phase"]
    ended = [
        row
        for row in found.of("sandboxes", task["id"])
        if row["role"] == "agent" and row["end_reason"] not in ("attempt_ended", "closed")
    ]
    # One that was still being made has shown no phase: `setup` comes when it lives.
    return sum(any(row["created_at"] < at < row["ended_at"] for at in shown) for row in ended)


class Rounds:
    """Freezes one of two workers after the other, by a seed, while both are at work."""

    def __init__(self, place: Place, *, seed: int) -> None:
        self._place = place
        self._chance = random.Random(f"frozen {seed}")
        self.held = 0

    async def run(self, rounds: int) -> None:
        """Do so many, then wait until all is over."""
        services = ("api", "relay", "worker")
        api, *_ = await asyncio.gather(*(self._place.fleet.start(each, 1) for each in services))
        await self._place.fleet.start("worker", 2)
        for number in range(1, rounds + 1):
            await self._place.over(but=TASKS)
            await asyncio.gather(*(self._submit(api.url) for _ in range(TASKS)))
            await self._freeze(self._chance.choice(self._place.fleet.named("worker")))
            print(
                f"round {number}: {self.held} attempts were held by the frozen so far", flush=True
            )
        await self._place.over()

    async def _submit(self, url: str) -> None:
        """Submit a task that is cloned, set up, worked on, checked or stored at some time of the round."""
        steer = {
            "DUMMY_AGENT_CHATTER": "50",
            "DUMMY_AGENT_DELAY": f"{self._chance.uniform(0, 9):.2f}",
            "DUMMY_CHECKS_DELAY": f"{self._chance.uniform(0, 2):.2f}",
        }
        checks = self._chance.choice([SKIP, {"command": "true"}])
        self._place.asked += 1
        op = f"op-{self._place.asked}"
        await self._place.submitted(url, op, steer=steer, checks=checks)

    async def _freeze(self, worker: Running) -> None:
        """SIGSTOP at any moment of its work; SIGCONT three leases later, when others have that."""

        async def at_work() -> bool | None:
            return True if await self._leases(worker) else None

        await eventually(at_work, seconds=30, what=f"{worker.name} has something to do")
        await asyncio.sleep(self._chance.uniform(0, 1.5))
        self.held += await self._leases(worker)
        worker.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_SECONDS)
            await self._until_owned(besides=worker)
        finally:
            worker.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(self._chance.uniform(0, 1))

    async def _leases(self, worker: Running) -> int:
        """Return how much a worker holds, as it tells its operator."""
        found = _LEASES.search((await self._place.client.get(f"{worker.url}/metrics")).text)
        return int(float(found[1])) if found else 0

    async def _until_owned(self, *, besides: Running) -> None:
        expired: list[Row] = []

        async def all_owned() -> bool | None:
            expired[:] = (await selected(self._place.where, {"expired": _EXPIRED}))["expired"]
            return None if expired else True

        try:
            await eventually(all_owned, seconds=OWNED_SECONDS, what="all has an owner")
        except AssertionError as error:
            (other,) = (each for each in self._place.fleet.named("worker") if each is not besides)
            told = (await self._place.client.get(f"{other.url}/metrics")).text
            (FOLDER / f"{other.name}.metrics").write_text(told)
            raise AssertionError(f"{error}, {besides.name} is frozen: {expired}") from None


async def measure(folder: Path, *, seed: int, rounds: int) -> tuple[Figures, list[Broken]]:
    """Do the rounds on the shared servers, and judge."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(opened(folder, redis_number=13, settings=SETTINGS))
        doing = Rounds(place, seed=seed)
        try:
            await doing.run(rounds)
            found, broken = await place.judged()
        finally:
            for log in place.fleet.folder.glob("*.log"):
                shutil.copy(log, FOLDER)
    tasks = found.rows["tasks"]
    broken += [each for task in tasks for each in shown_twice(found, task)]
    figures = Figures(
        seed=seed,
        rounds=rounds,
        held=doing.held,
        tasks=len(tasks),
        succeeded=sum(task["status"] == "succeeded" for task in tasks),
        adopted=sum(len(adoptions(found, task["id"])) for task in tasks),
        stale_writes=len(broken),
        killed=sum(killed(found, task) for task in tasks),
    )
    return figures, broken


def main() -> None:
    """Print the figures and keep them; exit 1 when one was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.frozen")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="codexsys-frozen-") as folder:
        figures, broken = asyncio.run(
            measure(Path(folder), seed=options.seed, rounds=options.rounds)
        )
    told = asdict(figures) | {"broken": [str(each) for each in broken]}
    (FOLDER / "report.json").write_text(json.dumps(told, indent=1))
    print(json.dumps(told, indent=1))
    if figures.missed:
        sys.exit("a thawed worker changed what is another's; see build/frozen")


if __name__ == "__main__":
    main()
