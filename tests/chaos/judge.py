"""Waits until nothing moves, and judges all that there is then."""

import asyncio
from typing import Any

from tests.chaos import checker, evidence
from tests.chaos.checker import Broken
from tests.chaos.evidence import Evidence, Where
from tests.chaos.history import History
from tests.support.distributed import eventually


async def rest(where: Where, *, seconds: float = 60) -> Evidence:
    """Wait until nothing moves and nothing is left."""
    moving: list[str] = []

    async def settled() -> Evidence | None:
        found = await evidence.gathered(where)
        moving[:] = checker.unsettled(found)
        return None if moving else found

    try:
        return await eventually(settled, seconds=seconds, what="rest", every=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: {moving[:10]}") from None


async def judged(
    where: Where, history: History, *, wiped_at: Any = None, seconds: float = 60
) -> tuple[Evidence, list[Broken]]:
    """Return what there is at rest, and the promises that were not kept."""
    found = await rest(where, seconds=seconds)
    client = evidence.store(where)
    broken = checker.broken(found, history)
    broken += await asyncio.to_thread(
        checker.unequal_artifacts, found, lambda name: evidence.digest(client, where, name)
    )
    ours = {row["id"] for row in found.rows["tasks"]}
    records = await evidence.results(where, 30)
    found.results = [record for record in records if record["task_id"] in ours]
    return found, broken + checker.wrong_results(found, wiped_at=wiped_at)
