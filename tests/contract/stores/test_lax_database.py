"""A MySQL server whose own mode would cut what is too long, and read quotes and backslashes otherwise."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.chaos.servers import OwnServers
from tests.contract.stores.conftest import MakeTask

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.migrations import upgrade
from codexsys_adapters.sql.tasks.store import SqlTasks

pytestmark = pytest.mark.stack
LAX = "NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT"
ODD = "it's \\' OR \"x\" -- \\"


async def test_it_keeps_what_it_is_given_and_cuts_nothing(make_task: MakeTask) -> None:
    async with OwnServers(("mysql",)) as servers:
        url = servers.direct["CODEXSYS_TEST_MYSQL_URL"]
        async with Database(url) as database, database.write() as connection:
            await connection.execute(text(f"SET GLOBAL sql_mode = '{LAX}'"))
        await upgrade(url)
        async with Database(url) as database:
            tasks = SqlTasks(database=database)
            task, attempt = make_task()
            odd = task.model_copy(update={"spec": task.spec.model_copy(update={"prompt": ODD})})
            await tasks.add(odd, attempt)
            found = await tasks.get(task.id, tenant_id=task.tenant_id)
            assert found.spec.prompt == ODD
            other, attempt = make_task()
            with pytest.raises(DBAPIError, match="Data too long"):
                await tasks.add(other.model_copy(update={"id": other.id + "x" * 40}), attempt)
