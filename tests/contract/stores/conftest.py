"""A fresh database for each test: a SQLite file always, and the real server that the environment names; stores on it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlmodel import SQLModel
from tests.contract.servers import S3_KEY, S3_SECRET, S3_URL, adapters, must_have

from codexsys_adapters.files import FileObjects
from codexsys_adapters.s3 import S3Objects
from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.migrations import upgrade
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Attempt, Hold
from codexsys_core.clock import SystemClock
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.limits import Limits
from codexsys_core.sandbox import Sandbox, SandboxRole
from codexsys_core.source import GitSource
from codexsys_core.task import Task, TaskSpec

MYSQL_URL = os.environ.get("CODEXSYS_TEST_MYSQL_URL", "")
DATABASES = (
    ["sqlite", "mysql"] if MYSQL_URL or os.environ.get("CODEXSYS_REQUIRE") == "all" else ["sqlite"]
)

Objects = FileObjects | S3Objects
MakeTask = Callable[..., tuple[Task, Attempt]]
Submit = Callable[..., Awaitable[Task]]
MakeSandbox = Callable[..., Sandbox]


async def make_database(name: str) -> str:
    """Make an empty database on the real server and return its URL."""
    if not MYSQL_URL:
        pytest.fail(
            "CODEXSYS_TEST_MYSQL_URL is not set, and CODEXSYS_REQUIRE=all wants the real server"
        )
    async with Database(MYSQL_URL) as server, server.write() as connection:
        await connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
    return make_url(MYSQL_URL).set(database=name).render_as_string(hide_password=False)


async def drop_database(url: str) -> None:
    """Remove a database that `make_database` made."""
    async with Database(MYSQL_URL) as server, server.write() as connection:
        await connection.execute(text(f"DROP DATABASE {make_url(url).database}"))


async def empty(url: str) -> None:
    """Remove all rows, so that the next test finds the database as it was made."""
    async with Database(url) as database, database.write() as connection:
        for table in SQLModel.metadata.sorted_tables:
            await connection.execute(table.delete())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def mysql_database() -> Iterator[str]:
    url = asyncio.run(make_database(TimeOrderedIds().new("test")))
    asyncio.run(upgrade(url))
    yield url
    asyncio.run(drop_database(url))


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path / "codexsys.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("mysql_database")
        yield url
        asyncio.run(empty(url))


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        url = asyncio.run(make_database(TimeOrderedIds().new("test")))
        yield url
        asyncio.run(drop_database(url))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
def make_task(ids: TimeOrderedIds) -> MakeTask:
    """Make nouns for `TaskStore.add`; keywords are fields of the spec, but for `tenant`."""

    def make(*, tenant: str = "ten_a", **spec: object) -> tuple[Task, Attempt]:
        fields = {
            "prompt": "Mend it.",
            "source": GitSource(url="https://example.org/a/b.git"),
            **spec,
        }
        task = Task(
            id=ids.new("task"),
            tenant_id=tenant,
            created_by="key_a",
            spec=TaskSpec.model_validate(fields),
            created_at=SystemClock().now(),
        )
        return task, Attempt(id=ids.new("att"), task_id=task.id, tenant_id=tenant)

    return make


@pytest.fixture
def tasks(database: Database) -> SqlTasks:
    return SqlTasks(database=database)


@pytest.fixture
def attempts(database: Database) -> SqlAttempts:
    return SqlAttempts(database=database)


@pytest.fixture
def sandboxes(database: Database) -> SqlSandboxes:
    return SqlSandboxes(database=database)


@pytest.fixture
def outbox(database: Database) -> SqlOutbox:
    return SqlOutbox(database=database)


@pytest.fixture
def events(database: Database) -> SqlEvents:
    return SqlEvents(database=database)


@pytest.fixture
def submit(tasks: SqlTasks, make_task: MakeTask) -> Submit:
    """Add a task; keywords as of `make_task`."""

    async def add(**fields: Any) -> Task:
        return await tasks.add(*make_task(**fields))

    return add


@pytest.fixture(params=adapters("files", "s3", S3_URL, S3_KEY, S3_SECRET))
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Objects]:
    if request.param == "files":
        root = tmp_path / "store"
        yield FileObjects(root=root, public_url="http://x", secret_key="k", clock=SystemClock())
        return
    url = must_have(S3_URL)
    async with S3Objects(
        url=f"s3://{url.partition('://')[2]}",
        access_key=must_have(S3_KEY),
        secret_key=must_have(S3_SECRET),
        public_url=url,
        bucket_suffix="-contract",
        clock=SystemClock(),
    ) as s3:
        yield s3


@pytest.fixture
def limits() -> Limits:
    """Of the task that is held; tests that want others parametrize it."""
    return Limits()


@pytest.fixture
async def hold(submit: Submit, attempts: SqlAttempts, limits: Limits) -> Hold:
    """An attempt that is claimed for longer than a test takes."""
    task = await submit(limits=limits)
    claim = await attempts.claim(task.id, owner="own_a", lease_seconds=300)
    assert claim is not None
    return claim.hold


@pytest.fixture
def make_sandbox(ids: TimeOrderedIds) -> MakeSandbox:
    """Make a sandbox of an attempt; keywords are its fields."""

    def make(hold: Hold, **changes: object) -> Sandbox:
        now = SystemClock().now()
        fields = {
            "id": ids.new("sbx"),
            "task_id": hold.task_id,
            "tenant_id": hold.tenant_id,
            "attempt_id": hold.attempt_id,
            "attempt": hold.number,
            "fence": hold.fence,
            "role": SandboxRole.AGENT,
            "backend": "dummy",
            "place": "here",
            "deadline": now + timedelta(hours=1),
            "created_at": now,
        }
        return Sandbox.model_validate({**fields, **changes})

    return make


@pytest.fixture
async def sandbox(sandboxes: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox) -> Sandbox:
    """A new sandbox of the held attempt."""
    row = make_sandbox(hold)
    assert await sandboxes.add(hold, row)
    return row
