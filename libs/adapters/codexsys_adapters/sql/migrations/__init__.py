"""Changes of the tables, in order, and the way to apply them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from codexsys_adapters.sql.engine import Database
from codexsys_core.errors import Unavailable

_LOCK_SECONDS = 120
_PATIENCE_SECONDS = 6 * 3600.0
"""MySQL keeps what a change that is given up has done so far; a large table takes its time, in silence."""


async def upgrade(url: str) -> None:
    """Bring a database's tables up to date; services that start at once take turns."""
    async with Database(url, pool_size=1, answer_seconds=_PATIENCE_SECONDS) as database:
        # Tried again: making a new SQLite file's journal is refused at once while another does it.
        await database.transact(lambda connection: connection.run_sync(_upgrade), after_loss=False)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # The file is locked by this transaction, and its tables change with it or not at all.
        _run(connection)
        return
    name = {"name": f"codexsys_migrations_{connection.engine.url.database}"[:64]}
    lock = text(f"SELECT GET_LOCK(:name, {_LOCK_SECONDS})")
    if connection.execute(lock, name).scalar_one() != 1:
        raise Unavailable("Somebody else changes the tables.", code="database_unavailable")
    try:
        _run(connection)
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)


def _run(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
