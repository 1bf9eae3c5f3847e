"""Models that are down, refuse or cost too much: how tasks end, and what they leave, end to end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import free_port
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import models_file
from tests.support.place import FINISH, Place, bash, open_place, reason

from codexsys_core.end_reasons import EndReason
from codexsys_core.principal import Tenant
from codexsys_core.quota import Quota
from codexsys_core.sandbox import SandboxState
from codexsys_core.task import Task

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {"README.md": "one\n"}
EDIT = bash("echo two >> README.md")
MORE = bash("date +%N | tee -a README.md")
AGENT_TRIES = 5
CALL_TRIES = 4 * 5
"""Each of the agent's five tries is tried four times by the gateway."""
PAID_TRIES = 2 * 5
"""Two times where each may have been paid for."""
BLOCKED = {"tool": "finish", "arguments": {"status": "blocked", "summary": "no", "criteria": []}}


class Case:
    """A model's script with limits, and what must come of it."""

    def __init__(
        self,
        *script: Step,
        end: EndReason,
        calls: int | None = None,
        attempts: int = 1,
        added: int | None = 1,
        limits: dict[str, Any] | None = None,
        quota: Quota | None = None,
    ) -> None:
        self.script = list(script)
        self.end = end
        self.calls = calls
        """Requests that the model's server saw."""
        self.attempts = attempts
        self.added = added
        """Lines of the diff that is handed out all the same; None when it does not matter."""
        self.limits = limits or {}
        self.quota = quota
        """Of a tenant of its own."""


CASES = {
    "refuses the key": Case(EDIT, 401, end=EndReason.MODEL_AUTH, calls=2),
    "wants to be paid": Case(EDIT, 402, end=EndReason.MODEL_AUTH, calls=2),
    "is for others": Case(EDIT, 403, end=EndReason.MODEL_AUTH, calls=2),
    "is busy for ever": Case(
        EDIT,
        429,
        end=EndReason.MODEL_UNAVAILABLE,
        calls=1 + CALL_TRIES,
        limits={"attempts": 1},
    ),
    "is busy for a moment": Case(EDIT, 429, FINISH, end=EndReason.FINISHED, calls=4),
    "fails for a moment": Case(EDIT, 500, 500, FINISH, end=EndReason.FINISHED, calls=5),
    "breaks off": Case(
        EDIT,
        {"fault": "cut"},
        end=EndReason.MODEL_UNAVAILABLE,
        calls=1 + AGENT_TRIES,
        limits={"attempts": 1, "cost_usd": 1000},
    ),
    "falls silent": Case(
        EDIT,
        {"fault": "stall"},
        end=EndReason.MODEL_UNAVAILABLE,
        calls=1 + AGENT_TRIES,
        limits={"attempts": 1, "cost_usd": 1000},
    ),
    "never answers": Case(
        EDIT,
        {"fault": "hang"},
        end=EndReason.MODEL_UNAVAILABLE,
        calls=1 + PAID_TRIES,
        limits={"attempts": 1, "cost_usd": 1000},
    ),
    "does not count": Case(
        {**EDIT, "uncounted": True},
        FINISH,
        end=EndReason.FINISHED,
        calls=3,
        limits={"cost_usd": 1000},
    ),
    "is unknown": Case(EDIT, 404, end=EndReason.MODEL_REFUSED, calls=2),
    "hangs up": Case(
        EDIT,
        0,
        end=EndReason.MODEL_UNAVAILABLE,
        calls=1 + 2 * PAID_TRIES,
        attempts=2,
        limits={"cost_usd": 1000},
    ),
    "hangs up, and may have to be paid": Case(EDIT, 0, end=EndReason.BUDGET_EXHAUSTED, calls=2),
    "fails, and a retry does not refill the calls": Case(
        EDIT,
        500,
        end=EndReason.CALLS_EXHAUSTED,
        calls=1 + CALL_TRIES,
        attempts=2,
        limits={"calls": 6},
    ),
    "forgets": Case(EDIT, 400, end=EndReason.CONTEXT_OVERFLOW),
    "gives up": Case(EDIT, BLOCKED, end=EndReason.AGENT_GAVE_UP, calls=2),
    "only talks": Case(EDIT, "Hm.", end=EndReason.AGENT_STUCK, calls=4),
    "calls too often": Case(
        MORE, end=EndReason.CALLS_EXHAUSTED, calls=3, added=3, limits={"calls": 3}
    ),
    "takes too many steps": Case(
        MORE, end=EndReason.STEPS_EXHAUSTED, calls=3, added=3, limits={"steps": 3}
    ),
    "takes too many tokens": Case(
        MORE, end=EndReason.TOKENS_EXHAUSTED, added=None, limits={"tokens": 12_000}
    ),
    "costs too much": Case(
        MORE, end=EndReason.BUDGET_EXHAUSTED, added=None, limits={"cost_usd": 0.05}
    ),
    "costs too much for its tenant's day": Case(
        MORE,
        end=EndReason.DAY_BUDGET_EXHAUSTED,
        added=None,
        quota=Quota(max_usd_per_day=0.05),
    ),
    "takes too many tokens for its tenant's day": Case(
        MORE,
        end=EndReason.DAY_TOKENS_EXHAUSTED,
        added=None,
        quota=Quota(max_tokens_per_day=12_000),
    ),
    "is well": Case(EDIT, FINISH, end=EndReason.FINISHED, calls=3),
}
NOBODY = "is served by nobody that listens"
SILENT = ("falls silent", "never answers")
"""Served by an upstream with little patience."""
each_case = pytest.mark.parametrize("name", CASES)
Ended = dict[str, Task]


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        running.scripts = {name: case.script for name, case in CASES.items()}
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory, server: ModelServer
) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("models")
    price = {"input_usd": 0, "output_usd": 1000}
    upstreams: list[dict[str, Any]] = [
        {
            "name": name,
            "url": server.url("script"),
            "first_byte_seconds": seconds,
            "idle_seconds": seconds,
            "models": dict.fromkeys(models, price),
        }
        for name, seconds, models in (
            ("scripts", 120, [name for name in CASES if name not in SILENT]),
            ("silent", 1.5, SILENT),
        )
    ]
    nobody = {"name": "nobody", "url": f"http://127.0.0.1:{free_port()}/v1", "models": [NOBODY]}
    upstreams.append(nobody)
    async with open_place(
        folder / "data",
        sandbox="local",
        worker_slots=4,
        models_file=models_file(folder, upstreams),
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def places(place: Place) -> dict[str, Place]:
    """Give each case the place, as the tenant that its task is of."""
    given = dict.fromkeys(CASES, place)
    now = place.platform.clock.now()
    for number, (name, case) in enumerate(CASES.items()):
        if case.quota is not None:
            own = Tenant(id=f"tnt_{number}", name=f"own {number}", created_at=now)
            await place.platform.keys.add_tenant(own)
            await place.platform.quotas.set(own.id, case.quota)
            given[name] = replace(place, tenant=own.id)
    return given


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(places: dict[str, Place]) -> Ended:
    """Submit all at once, the slow ones first, and wait for their ends."""

    async def see(name: str) -> Task:
        limits = {"attempts": 2, "wall_seconds": 120} | CASES[name].limits
        own = places[name]
        source = await own.zip_source(FILES)
        task = await own.submit(source, engine="builtin", command=None, model=name, limits=limits)
        return await own.until(task, seconds=200)

    slow_first = sorted(CASES, key=lambda name: -CASES[name].attempts)
    tasks = await asyncio.gather(*(see(name) for name in slow_first))
    return dict(zip(slow_first, tasks, strict=True))


@each_case
async def test_each_ends_as_it_should(
    name: str, ended: Ended, places: dict[str, Place], server: ModelServer
) -> None:
    case, task, place = CASES[name], ended[name], places[name]
    assert reason(task) is case.end, await place.text(task.id, "agent")
    attempts = await place.platform.attempts.of_task(task.id, tenant_id=place.tenant)
    assert len(attempts) == case.attempts
    if case.calls is not None:
        assert server.calls[name] == case.calls


@each_case
async def test_what_was_done_is_handed_out(name: str, ended: Ended, place: Place) -> None:
    case, task = CASES[name], ended[name]
    artifacts = {each.name: each for each in await place.platform.artifacts.of_task(task.id)}
    assert {"prompt.txt", "calls.jsonl", "agent.log", "report.json"} <= set(artifacts)
    patch = await place.platform.objects.get(artifacts["diff.patch"].object)
    added = sum(line.startswith(b"+") for line in patch.splitlines()) - 1
    assert added >= 1
    assert case.added in (None, added)


@each_case
async def test_limits_are_a_wall(name: str, ended: Ended, server: ModelServer) -> None:
    limits = {"calls": 300, "tokens": 2_000_000, "cost_usd": 5.0} | CASES[name].limits
    usage = ended[name].usage
    assert usage.calls <= limits["calls"]
    assert usage.input_tokens + usage.output_tokens <= limits["tokens"]
    assert usage.cost_usd <= limits["cost_usd"]
    assert server.calls[name] >= usage.calls


async def test_a_tenants_day_is_a_wall(ended: Ended, places: dict[str, Place]) -> None:
    for name, case in CASES.items():
        if case.quota is not None:
            today = await places[name].platform.wallet.today(places[name].tenant)
            assert 0 < today.cost_usd == ended[name].usage.cost_usd
            assert today.cost_usd <= (today.limit_usd or today.cost_usd)
            assert 0 < today.tokens <= (today.limit_tokens or today.tokens)


async def test_a_model_that_nobody_serves_costs_nothing_and_says_so(place: Place) -> None:
    source = await place.zip_source(FILES)
    asked = {"engine": "builtin", "command": None, "model": NOBODY}
    task_id = await place.submit(source, limits={"wall_seconds": 120}, **asked)
    task = await place.until(task_id, seconds=200)
    assert reason(task) is EndReason.MODEL_UNAVAILABLE
    assert task.usage.cost_usd == 0
    assert (await place.platform.wallet.usage(task_id)).output_tokens == 0
    kept = await place.handed_out(task_id)
    assert {"prompt.txt", "report.json", "agent.log"} <= set(kept)
    assert b"README.md" in kept["prompt.txt"]


async def test_nothing_is_left_of_any_of_them(ended: Ended, place: Place) -> None:
    await place.clean()
    for task in ended.values():
        rows = await place.platform.sandboxes.of_task(task.id)
        assert rows
        assert {row.state for row in rows} == {SandboxState.ENDED}
        assert all(row.destroyed_at for row in rows)
        assert await place.platform.wallet.usage(task.id) == task.usage
