"""Every `UsageStore` keeps what the port promises."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update
from tests.contract.stores.conftest import MakeTask

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.usage import SqlUsage
from codexsys_adapters.sql.tables import TASKS, WALLETS
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.times import naive
from codexsys_core.ids import first_at
from codexsys_core.usage import MOST_VALUES, UsageQuery, UsageReport

TODAY = date(2026, 3, 1)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
ONE = timedelta(microseconds=1)


@pytest.fixture
def store(database: Database) -> SqlUsage:
    return SqlUsage(database=database)


class Made:
    """Makes tasks of any time that have used something."""

    def __init__(self, database: Database, make_task: MakeTask) -> None:
        self._database = database
        self._make = make_task
        self._count = 0

    async def task(
        self,
        at: datetime = MIDNIGHT,
        *,
        micros: int = 0,
        verified: bool = False,
        tenant: str = "ten_a",
        **labels: str,
    ) -> None:
        task, attempt = self._make(tenant=tenant, labels=labels)
        self._count += 1
        task_id = f"{first_at('task', at)[:-6]}{self._count:06d}"
        task = task.model_copy(update={"id": task_id, "created_at": at})
        await SqlTasks(database=self._database).add(
            task, attempt.model_copy(update={"task_id": task_id})
        )
        spent = {"calls": 2, "input_tokens": 30, "output_tokens": 4, "cached_tokens": 1}
        async with self._database.write() as connection:
            wallet = update(WALLETS).where(WALLETS.c.task_id == task_id)
            await connection.execute(wallet.values(**spent, micros=micros))
            if verified:
                row = update(TASKS).where(TASKS.c.id == task_id)
                await connection.execute(row.values(verdict="verified", finished_at=naive(at)))


@pytest.fixture
def made(database: Database, make_task: MakeTask) -> Made:
    return Made(database, make_task)


async def of(
    store: SqlUsage, days: int = 1, label: tuple[str, str | None] | None = None
) -> UsageReport:
    first = TODAY - timedelta(days=days - 1)
    query = UsageQuery(tenant_id="ten_a", first=first, last=TODAY, label=label)
    return await store.report(query)


async def test_a_day_is_from_midnight_to_midnight_and_every_day_is_told(
    store: SqlUsage, made: Made
) -> None:
    for at in (MIDNIGHT - ONE, MIDNIGHT, MIDNIGHT + timedelta(days=1) - ONE):
        await made.task(at, micros=1_500_000)
    await made.task(MIDNIGHT + timedelta(days=1), micros=1)
    report = await of(store, days=4)
    assert [day.day for day in report.days] == [date(2026, 2, n) for n in (26, 27, 28)] + [TODAY]
    assert [day.tasks for day in report.days] == [0, 0, 1, 2]
    assert [day.cost_usd for day in report.days] == [0, 0, 1.5, 3.0]
    assert (report.values, report.more) == ([], False)


async def test_everything_is_summed_up(store: SqlUsage, made: Made) -> None:
    await made.task(micros=100_000, verified=True)
    await made.task(micros=200_000)
    total = (await of(store)).total
    assert total.model_dump() == {
        "tasks": 2,
        "verified": 1,
        "calls": 4,
        "input_tokens": 60,
        "output_tokens": 8,
        "cached_tokens": 2,
        "cost_usd": 0.3,
    }


async def test_a_tenant_sees_its_own(store: SqlUsage, made: Made) -> None:
    await made.task(tenant="ten_b", team="web")
    await made.task(tenant="ten_b", team="web")
    report = await of(store, label=("team", None))
    assert (report.total.tasks, report.values) == (0, [])


async def test_a_label_divides_all_tasks_by_its_values(store: SqlUsage, made: Made) -> None:
    await made.task(micros=1, team="web", other="x")
    await made.task(micros=9, team="data")
    await made.task(micros=9, team="data")
    await made.task(micros=2)
    report = await of(store, label=("team", None))
    found = [(each.value, each.tasks, each.cost_usd) for each in report.values]
    assert found == [("data", 2, 0.000018), (None, 1, 0.000002), ("web", 1, 0.000001)]
    assert report.total.tasks == 4


async def test_a_label_with_a_value_is_a_filter(store: SqlUsage, made: Made) -> None:
    await made.task(team="web")
    await made.task(team="Web")
    await made.task(other="web")
    report = await of(store, label=("team", "web"))
    assert (report.total.tasks, report.values) == (1, [])


async def test_only_the_dearest_values_are_told(store: SqlUsage, made: Made) -> None:
    for number in range(MOST_VALUES + 1):
        await made.task(micros=number, build=str(number))
    report = await of(store, label=("build", None))
    assert [each.value for each in report.values[:2]] == [str(MOST_VALUES), str(MOST_VALUES - 1)]
    assert (len(report.values), report.more) == (MOST_VALUES, True)
    assert report.total.tasks == MOST_VALUES + 1
