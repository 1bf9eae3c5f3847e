"""Every `TaskStore` keeps tasks as they were made, and finds them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.stores.asked_of_tasks import DONE, claimed
from tests.contract.stores.conftest import MakeTask, Submit

from codexsys_core.attempt import AttemptStore
from codexsys_core.errors import Invalid, NotFound
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import Phase, TaskStatus
from codexsys_core.source import GitSource, TaskSource, ZipSource
from codexsys_core.task import Glance, Task, TaskQuery, TaskStore
from codexsys_core.verdict import Verdict


@pytest.mark.parametrize(
    "source",
    [
        GitSource(url="https://example.org/a/b.git", ref="main"),
        ZipSource(object="codexsys-code/tmp_zips/x/code.zip", sha256="c" * 64, size=7),
        TaskSource(task_id="task_earlier"),
    ],
)
async def test_an_added_task_comes_back_as_it_was(
    tasks: TaskStore, make_task: MakeTask, source: Any
) -> None:
    task, attempt = make_task(
        source=source, prompt="Größe 😀 'quoted' \\ %s :x", labels={"team": "web"}
    )
    added = await tasks.add(task, attempt)
    stored = task.model_copy(update={"seq": 1})
    assert added == stored.model_copy(update={"place": 0})
    assert await tasks.get(task.id, tenant_id=task.tenant_id) == stored


async def test_adding_the_same_task_again_is_no_error(
    tasks: TaskStore, make_task: MakeTask
) -> None:
    task, attempt = make_task()
    assert (await tasks.add(task, attempt)).id == (await tasks.add(task, attempt)).id


async def test_another_tenants_task_is_not_found(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    with pytest.raises(NotFound):
        await tasks.get(task.id, tenant_id="ten_b")
    with pytest.raises(NotFound):
        await tasks.cancel(task.id, tenant_id="ten_b")
    assert await tasks.find(TaskQuery(tenant_id="ten_b")) == []
    assert await attempts.of_task(task.id, tenant_id="ten_b") == []
    assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.QUEUED


async def test_find_gives_the_newest_first_and_pages(tasks: TaskStore, submit: Submit) -> None:
    made = sorted([(await submit()).id for _ in range(5)], reverse=True)
    first = await tasks.find(TaskQuery(tenant_id="ten_a", limit=3))
    rest = await tasks.find(TaskQuery(tenant_id="ten_a", before=first[-1].id))
    assert [task.id for task in first + rest] == made


async def test_find_filters(tasks: TaskStore, submit: Submit) -> None:
    web = await submit(labels={"team": "web", "kind": "fix"})
    await submit(labels={"team": "Web"})
    other = await submit(source=GitSource(url="https://example.org/other.git"))
    await tasks.cancel(other.id, tenant_id="ten_a")

    async def found(**fields: Any) -> list[str]:
        return [task.id for task in await tasks.find(TaskQuery(tenant_id="ten_a", **fields))]

    assert await found(label=("team", "web")) == [web.id]
    assert await found(label=("team", "web"), status=TaskStatus.QUEUED) == [web.id]
    assert await found(status=TaskStatus.CANCELLED) == [other.id]
    assert await found(source_url="https://example.org/other.git") == [other.id]
    assert await found(created_after=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(await found(created_after=datetime.now(UTC) - timedelta(hours=1))) == 3


async def test_find_looks_for_words_as_they_are(tasks: TaskStore, submit: Submit) -> None:
    fix = await submit(prompt='Say "100 %" and\nFix the İndex_of Größe')
    other = await submit(prompt="Nothing", source=GitSource(url="https://example.org/Harbor.git"))
    await submit(prompt="Fix it", tenant="ten_b")

    async def found(words: str) -> list[str]:
        query = TaskQuery(tenant_id="ten_a", words=words)
        return [task.id for task in await tasks.find(query)]

    for words in ("fix the", 'SAY "100 %" and\nfix', "x_of größe", fix.id, "100 %"):
        assert await found(words) == [fix.id], words
    assert await found("harbor.GIT") == [other.id]
    for words in ("1__ %", "%fix%", "prompt", "command", "\\n", "fix it", "\0", "\0fix"):
        assert await found(words) == [], words


async def test_a_list_that_began_can_be_seen_again_without_what_came_since(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    old, shown, new = [(await submit()).id for _ in range(3)]
    again = await tasks.find(TaskQuery(tenant_id="ten_a", through=shown))
    assert [task.id for task in again] == [shown, old]
    since = await tasks.find(TaskQuery(tenant_id="ten_a", after=shown))
    assert [task.id for task in since] == [new]
    claim = await claimed(attempts, again[0])
    await attempts.end(claim.hold, DONE)
    verified = TaskQuery(tenant_id="ten_a", verdict=Verdict.VERIFIED)
    assert [task.id for task in await tasks.find(verified)] == [shown]


async def test_counts_are_by_status_and_stop_somewhere(tasks: TaskStore, submit: Submit) -> None:
    for _ in range(4):
        await submit()
    gone = await submit()
    await submit(tenant="ten_b")
    await tasks.cancel(gone.id, tenant_id="ten_a")
    found = await tasks.counts(tenant_id="ten_a", most=3)
    assert set(found) == set(TaskStatus)
    assert {status: count for status, count in found.items() if count} == {
        TaskStatus.QUEUED: 3,
        TaskStatus.CANCELLED: 1,
    }


async def test_queue_position_counts_the_tenants_earlier_tasks(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    first, second = await submit(), await submit()
    await submit(tenant="ten_b")
    third = await submit()

    async def place(task: Task) -> int | None:
        return await tasks.queue_position(task.id, tenant_id="ten_a")

    assert [await place(each) for each in (first, second, third)] == [0, 1, 2]
    await claimed(attempts, first)
    assert [await place(each) for each in (first, second, third)] == [None, 0, 1]


async def test_a_glance_tells_every_look_from_the_one_before(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task, other = await submit(), await submit()

    async def glance() -> Glance:
        return await tasks.glance(task.id, tenant_id="ten_a")

    seen = [await glance()]
    assert seen == [await glance()]
    assert await tasks.glance(other.id, tenant_id="ten_a") == seen[0]
    claim = await claimed(attempts, task)
    seen.append(await glance())
    await attempts.move(claim.hold, Phase.CODING)
    seen.append(await glance())
    await attempts.end(claim.hold, DONE)
    seen.append(await glance())
    await tasks.delete(task.id, tenant_id="ten_a")
    seen.append(await glance())
    assert len(set(seen)) == len(seen)
    assert [each.status for each in seen[1:]] == ["running", "running", "succeeded", "succeeded"]
    for tenant, task_id in (("ten_b", task.id), ("ten_a", "task_none")):
        with pytest.raises(NotFound):
            await tasks.glance(task_id, tenant_id=tenant)


async def test_a_known_key_gives_the_stored_task(tasks: TaskStore, make_task: MakeTask) -> None:
    key = Idempotency(key="once", fingerprint="f" * 64)
    assert await tasks.known("ten_a", key) is None
    made = await tasks.add(*make_task(), key)
    first = await tasks.get(made.id, tenant_id="ten_a")
    assert await tasks.add(*make_task(), key) == first
    assert await tasks.known("ten_a", key) == first
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 1


async def test_a_key_with_another_request_is_refused(tasks: TaskStore, make_task: MakeTask) -> None:
    await tasks.add(*make_task(), Idempotency(key="once", fingerprint="f" * 64))
    other = Idempotency(key="once", fingerprint="0" * 64)
    for call in (tasks.add(*make_task(), other), tasks.known("ten_a", other)):
        with pytest.raises(Invalid) as caught:
            await call
        assert caught.value.code == "idempotency_mismatch"
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 1


async def test_a_key_is_its_tenants_own(tasks: TaskStore, make_task: MakeTask) -> None:
    key = Idempotency(key="once", fingerprint="f" * 64)
    first = await tasks.add(*make_task(), key)
    other = await tasks.add(*make_task(tenant="ten_b"), key)
    assert first.id != other.id


async def test_a_race_with_one_key_makes_one_task(tasks: TaskStore, make_task: MakeTask) -> None:
    key = Idempotency(key="once", fingerprint="f" * 64)
    added = await asyncio.gather(*(tasks.add(*make_task(), key) for _ in range(8)))
    assert len({task.id for task in added}) == 1
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 1
