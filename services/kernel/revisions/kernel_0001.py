"""The kernel's tables as the first revision of every service makes them. Later changes are revisions of their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_TABLES = (
    "waiting",
    "state_version",
    "owner_area",
    "outbox_stream",
    "outbox",
    "job_lease",
    "inbox",
    "idempotency_key",
    "dead_letter",
    "audit_root",
    "audit",
    "access_grant",
)


def upgrade(schema: str) -> None:
    _access_grant(schema)
    _audit(schema)
    _audit_root(schema)
    _dead_letter(schema)
    _idempotency_key(schema)
    _inbox(schema)
    _job_lease(schema)
    _outbox(schema)
    _outbox_stream(schema)
    _owner_area(schema)
    _state_version(schema)
    _waiting(schema)


def _access_grant(schema: str) -> None:
    op.create_table(
        "access_grant",
        sa.Column("origin", sa.String(length=128), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("scope_kind", sa.String(length=12), nullable=False),
        sa.Column("scope_id", sa.String(length=64), nullable=False),
        sa.Column("acting_for", sa.String(length=64), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("origin", "ordinal", name=op.f("pk_access_grant")),
        schema=schema,
    )
    op.create_index("ix_access_grant_person_id", "access_grant", ["person_id"], unique=False, schema=schema)


def _audit(schema: str) -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("acting_for", sa.String(length=64), nullable=True),
        sa.Column("role", sa.String(length=40), nullable=True),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("object_type", sa.String(length=60), nullable=False),
        sa.Column("object_id", sa.String(length=128), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=True),
        sa.Column("cause_id", sa.String(length=160), nullable=False),
        sa.Column("before_hash", sa.LargeBinary(), nullable=True),
        sa.Column("after_hash", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rows", sa.Integer(), server_default="1", nullable=False),
        sa.Column("exported", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("seq", "at", name=op.f("pk_audit")),
        schema=schema,
        postgresql_partition_by="RANGE (at)",
    )


def _audit_root(schema: str) -> None:
    op.create_table(
        "audit_root",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("merkle_root", sa.LargeBinary(), nullable=False),
        sa.Column("chain_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("minute", name=op.f("pk_audit_root")),
        schema=schema,
    )


def _dead_letter(schema: str) -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.String(length=80), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("type", sa.String(length=120), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=12), server_default="open", nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=128), nullable=True),
        sa.Column("settled_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
        schema=schema,
    )


def _idempotency_key(schema: str) -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("content_type", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("person_id", "route", "key", name=op.f("pk_idempotency_key")),
        schema=schema,
    )


def _inbox(schema: str) -> None:
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "received_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("consumer", "source", "id", name=op.f("pk_inbox")),
        schema=schema,
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"], unique=False, schema=schema)


def _job_lease(schema: str) -> None:
    op.create_table(
        "job_lease",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_lease")),
        schema=schema,
    )


def _outbox(schema: str) -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("aggregatetype", sa.String(length=80), nullable=False),
        sa.Column("aggregateid", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=120), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", "created_at", name=op.f("pk_outbox")),
        schema=schema,
        postgresql_partition_by="RANGE (created_at)",
    )
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["shard", "seq"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("published_at IS NULL"),
    )


def _outbox_stream(schema: str) -> None:
    op.create_table(
        "outbox_stream",
        sa.Column("aggregatetype", sa.String(length=80), nullable=False),
        sa.Column("aggregateid", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("aggregatetype", "aggregateid", name=op.f("pk_outbox_stream")),
        schema=schema,
    )


def _owner_area(schema: str) -> None:
    op.create_table(
        "owner_area",
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("area_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "area_id", name=op.f("pk_owner_area")),
        schema=schema,
    )


def _state_version(schema: str) -> None:
    op.create_table(
        "state_version",
        sa.Column("consumer", sa.String(length=80), nullable=False),
        sa.Column("aggregatetype", sa.String(length=80), nullable=False),
        sa.Column("aggregateid", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "aggregatetype", "aggregateid", name=op.f("pk_state_version")),
        schema=schema,
    )


def _waiting(schema: str) -> None:
    op.create_table(
        "waiting",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.String(length=80), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("type", sa.String(length=120), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("reference_kind", sa.String(length=40), nullable=False),
        sa.Column("reference_id", sa.String(length=128), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "waiting_since", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "next_try_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting")),
        schema=schema,
    )
    op.create_index("ix_waiting_next_try_at", "waiting", ["next_try_at"], unique=False, schema=schema)
    op.create_index("ix_waiting_reference", "waiting", ["reference_kind", "reference_id"], unique=False, schema=schema)


def downgrade(schema: str) -> None:
    for table in _TABLES:
        op.drop_table(table, schema=schema)
