"""A minute of chaos by a fixed seed. Only promises are judged here; figures are for `make chaos`."""

import asyncio
from pathlib import Path

import pytest
from tests.chaos.run import Plan, run

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(600)]
SEED = 2


def test_every_promise_is_kept_through_a_minute_of_chaos(tmp_path: Path) -> None:
    outcome = asyncio.run(run(Plan(seed=SEED, tasks=60, rate=1), tmp_path / "report"))
    assert outcome.faults
    assert not outcome.broken, "\n".join(map(str, outcome.broken[:20]))
    assert not outcome.wrong
    accepted = {entry.data["id"] for entry in outcome.history.of("submit") if entry.result == 202}
    assert len(accepted) == len(outcome.evidence.rows["tasks"])
