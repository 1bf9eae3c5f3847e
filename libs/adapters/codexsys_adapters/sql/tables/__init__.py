"""All tables, as SQLModel classes, by subject: `schema.sql` and the migrations are held against them."""

from codexsys_adapters.sql.tables.attempts import ATTEMPTS, CHECKPOINTS, SANDBOXES
from codexsys_adapters.sql.tables.record import ARTIFACTS, EVENTS, LOG_CHUNKS, LOG_STREAMS, SHARES
from codexsys_adapters.sql.tables.spending import RESERVATIONS, TENANT_DAYS, WALLETS
from codexsys_adapters.sql.tables.talk import MESSAGES, QUESTIONS
from codexsys_adapters.sql.tables.tasks import LABELS, NEEDS, TASKS
from codexsys_adapters.sql.tables.tenants import (
    ENVIRONMENTS,
    IDEMPOTENCY,
    KEYS,
    TENANTS,
    UPLOADS,
)

__all__ = [
    "ARTIFACTS",
    "ATTEMPTS",
    "CHECKPOINTS",
    "ENVIRONMENTS",
    "EVENTS",
    "IDEMPOTENCY",
    "KEYS",
    "LABELS",
    "LOG_CHUNKS",
    "LOG_STREAMS",
    "MESSAGES",
    "NEEDS",
    "QUESTIONS",
    "RESERVATIONS",
    "SANDBOXES",
    "SHARES",
    "TASKS",
    "TENANTS",
    "TENANT_DAYS",
    "UPLOADS",
    "WALLETS",
]
