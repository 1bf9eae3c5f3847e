"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_MYSQL = ("mysql", "mariadb")
ID = sa.CHAR(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), *_MYSQL)
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL)
TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), *_MYSQL)
BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), *_MYSQL)


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, *_MYSQL)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", _ascii(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"], unique=False)
    op.create_table(
        "artifacts",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("name", _ascii(100), nullable=False),
        sa.Column("object", _ascii(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", _ascii(64), nullable=False),
        sa.Column("content_type", _ascii(100), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "name"),
        **OPTIONS,
    )
    op.create_table(
        "attempts",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", _ascii(16), nullable=False),
        sa.Column("owner", ID, nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("takeovers", sa.Integer(), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("cancel_at", TIME, nullable=True),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("end_reason", _ascii(40), nullable=True),
        sa.Column("end_detail", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("task_id", "number", name="uq_attempts_number"),
        **OPTIONS,
    )
    op.create_index("ix_attempts_state_due", "attempts", ["state", "due_at"], unique=False)
    op.create_index("ix_attempts_state_lease", "attempts", ["state", "lease_until"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("object", _ascii(255), nullable=False),
        sa.Column("patch_size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("task_id", "attempt", "fence", "number", name="uq_checkpoints_number"),
        **OPTIONS,
    )
    op.create_table(
        "events",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", _ascii(40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("sandbox_id", ID, nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("task_id", "seq"),
        sa.UniqueConstraint("sandbox_id", "number", name="uq_events_sender"),
        **OPTIONS,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("key", _ascii(255), nullable=False),
        sa.Column("fingerprint", _ascii(64), nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key"),
        **OPTIONS,
    )
    op.create_table(
        "log_chunks",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("stream", _ascii(16), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sandbox_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("text", BYTES, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "stream", "start"),
        sa.UniqueConstraint(
            "task_id", "stream", "sandbox_id", "number", name="uq_log_chunks_sender"
        ),
        **OPTIONS,
    )
    op.create_table(
        "log_streams",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("stream", _ascii(16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("task_id", "stream"),
        **OPTIONS,
    )
    op.create_table(
        "reservations",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("sandbox_id", ID, nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("price_input", sa.BigInteger(), nullable=False),
        sa.Column("price_output", sa.BigInteger(), nullable=False),
        sa.Column("price_cached", sa.BigInteger(), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("settled_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("ix_reservations_due", "reservations", ["settled_at", "until"], unique=False)
    op.create_table(
        "sandboxes",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("role", _ascii(16), nullable=False),
        sa.Column("backend", _ascii(16), nullable=False),
        sa.Column("place", _ascii(128), nullable=False),
        sa.Column("state", _ascii(16), nullable=False),
        sa.Column("token_hash", _ascii(64), nullable=True),
        sa.Column("deadline", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("destroyed_at", TIME, nullable=True),
        sa.Column("end_reason", _ascii(40), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash", name="uq_sandboxes_token"),
        **OPTIONS,
    )
    op.create_index("ix_sandboxes_attempt", "sandboxes", ["attempt_id", "state"], unique=False)
    op.create_index("ix_sandboxes_place", "sandboxes", ["place", "destroyed_at"], unique=False)
    op.create_index("ix_sandboxes_task", "sandboxes", ["task_id", "id"], unique=False)
    op.create_table(
        "shares",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("token_hash", _ascii(64), nullable=False),
        sa.Column("parts", _ascii(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash", name="uq_shares_token"),
        **OPTIONS,
    )
    op.create_index("ix_shares_task_id", "shares", ["task_id"], unique=False)
    op.create_table(
        "task_labels",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("name", _ascii(63), nullable=False),
        sa.Column("value", sa.String(length=63), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "name"),
        **OPTIONS,
    )
    op.create_index(
        "ix_task_labels", "task_labels", ["tenant_id", "name", "value", "task_id"], unique=False
    )
    op.create_table(
        "tasks",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("retry_of", ID, nullable=True),
        sa.Column("spec", TEXT, nullable=False),
        sa.Column("source_url", sa.String(length=2048), nullable=True),
        sa.Column("status", _ascii(16), nullable=False),
        sa.Column("phase", _ascii(16), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("base", TEXT, nullable=True),
        sa.Column("plan", TEXT, nullable=True),
        sa.Column("verdict", _ascii(16), nullable=True),
        sa.Column("evidence", TEXT, nullable=True),
        sa.Column("diff", _ascii(200), nullable=True),
        sa.Column("end_reason", _ascii(40), nullable=True),
        sa.Column("end_detail", TEXT, nullable=True),
        sa.Column("end_fence", sa.BigInteger(), nullable=True),
        sa.Column("end_seq", sa.BigInteger(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("queue_until", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("result_due_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("ix_tasks_result_due", "tasks", ["result_due_at"], unique=False)
    op.create_index("ix_tasks_status", "tasks", ["status", "queue_until"], unique=False)
    op.create_index("ix_tasks_tenant", "tasks", ["tenant_id", "id"], unique=False)
    op.create_table(
        "tenants",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_tenants_name"),
        **OPTIONS,
    )
    op.create_table(
        "wallets",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("limit_calls", sa.BigInteger(), nullable=False),
        sa.Column("limit_tokens", sa.BigInteger(), nullable=False),
        sa.Column("limit_micros", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
        **OPTIONS,
    )
