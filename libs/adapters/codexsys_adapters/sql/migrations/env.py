"""Run by alembic, with the connection that `upgrade` gives it."""

from alembic import context
from sqlmodel import SQLModel

import codexsys_adapters.sql.migrations.repeatable
import codexsys_adapters.sql.tables  # noqa: F401 - both take their place as they are imported

_connection = context.config.attributes["connection"]
context.configure(
    connection=_connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=_connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
