"""Rows of artifacts; they are written by the statement that ends the task."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import ARTIFACTS
from codexsys_core.artifact import Artifact


class SqlArtifacts:
    """An `ArtifactStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def of_task(self, task_id: str) -> list[Artifact]:
        """Return a terminal task's artifacts by name."""
        statement = (
            select(ARTIFACTS).where(ARTIFACTS.c.task_id == task_id).order_by(ARTIFACTS.c.name)
        )

        async def statements(connection: AsyncConnection) -> list[Artifact]:
            return [
                Artifact.model_validate(dict(row))
                for row in (await connection.execute(statement)).mappings()
            ]

        return await self._database.look(statements)
