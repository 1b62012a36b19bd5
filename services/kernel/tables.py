"""The tables every service schema holds before its own: outbox, inbox, dead letters, waiting, leases, grants, audit."""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
SHARDS = 8
"""Hash shards of the outbox; a relay owns whole shards, so one key is never sent by two relays."""


def _moment(name: str, *, nullable: bool = False, default_now: bool = False) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=nullable, server_default=func.clock_timestamp() if default_now else None
    )


@dataclass(frozen=True, kw_only=True)
class KernelTables:
    outbox: Table
    outbox_stream: Table
    inbox: Table
    state_version: Table
    dead_letter: Table
    waiting: Table
    job_lease: Table
    access_grant: Table
    owner_area: Table
    audit: Table
    audit_root: Table
    idempotency_key: Table


def open_schema(name: str) -> MetaData:
    """Metadata of one service; its kernel tables are at `metadata.info["kernel"]`."""
    metadata = MetaData(schema=name, naming_convention=NAMING)
    metadata.info["kernel"] = KernelTables(
        **_delivery(metadata), **_failures(metadata), **_access(metadata), **_audit(metadata)
    )
    return metadata


def kernel_tables(metadata: MetaData) -> KernelTables:
    tables = metadata.info["kernel"]
    assert isinstance(tables, KernelTables)
    return tables


def _delivery(metadata: MetaData) -> dict[str, Table]:
    outbox = Table(
        "outbox",
        metadata,
        # Column names follow the outbox event router of CDC tools, which could replace the relay.
        Column("seq", BigInteger, Identity(), primary_key=True),
        Column("id", Uuid, nullable=False),
        Column("aggregatetype", String(80), nullable=False),
        Column("aggregateid", String(128), nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("type", String(120), nullable=False),
        Column("topic", String(80), nullable=False),
        Column("shard", SmallInteger, nullable=False),
        Column("payload", LargeBinary, nullable=True),
        Column("headers", JSONB, nullable=False),
        Column("created_at", DateTime(timezone=True), primary_key=True, server_default=func.clock_timestamp()),
        _moment("published_at", nullable=True),
        postgresql_partition_by="RANGE (created_at)",
    )
    Index("ix_outbox_unpublished", outbox.c.shard, outbox.c.seq, postgresql_where=text("published_at IS NULL"))
    stream = Table(
        "outbox_stream",
        metadata,
        Column("aggregatetype", String(80), primary_key=True),
        Column("aggregateid", String(128), primary_key=True),
        Column("version", BigInteger, nullable=False),
    )
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", String(80), primary_key=True),
        Column("source", String(120), primary_key=True),
        Column("id", String(120), primary_key=True),
        Column("body_hash", LargeBinary, nullable=False),
        _moment("received_at", default_now=True),
    )
    Index("ix_inbox_received_at", inbox.c.received_at)
    state_version = Table(
        "state_version",
        metadata,
        Column("consumer", String(80), primary_key=True),
        Column("aggregatetype", String(80), primary_key=True),
        Column("aggregateid", String(128), primary_key=True),
        Column("version", BigInteger, nullable=False),
    )
    return {"outbox": outbox, "outbox_stream": stream, "inbox": inbox, "state_version": state_version}


def _failures(metadata: MetaData) -> dict[str, Table]:
    record = [("topic", String(80)), ("type", String(120)), ("source", String(120)), ("event_id", String(120))]
    dead_letter = Table(
        "dead_letter",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("consumer", String(80), nullable=False),
        *[Column(name, kind, nullable=False) for name, kind in record],
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("reason", String(60), nullable=False),
        Column("detail", Text, nullable=False),
        Column("record_key", LargeBinary, nullable=True),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary, nullable=True),
        Column("status", String(12), nullable=False, server_default="open"),
        _moment("created_at", default_now=True),
        _moment("settled_at", nullable=True),
        Column("settled_by", String(128), nullable=True),
        Column("settled_reason", Text, nullable=True),
    )
    waiting = Table(
        "waiting",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("consumer", String(80), nullable=False),
        *[Column(name, kind, nullable=False) for name, kind in record],
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("reference_kind", String(40), nullable=False),
        Column("reference_id", String(128), nullable=False),
        Column("record_key", LargeBinary, nullable=True),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary, nullable=True),
        Column("attempts", Integer, nullable=False, server_default="0"),
        _moment("waiting_since", default_now=True),
        _moment("next_try_at", default_now=True),
    )
    Index("ix_waiting_reference", waiting.c.reference_kind, waiting.c.reference_id)
    Index("ix_waiting_next_try_at", waiting.c.next_try_at)
    lease = Table(
        "job_lease",
        metadata,
        Column("name", String(80), primary_key=True),
        Column("holder", String(128), nullable=True),
        Column("fence", BigInteger, nullable=False, server_default="0"),
        _moment("expires_at", nullable=True),
        _moment("last_due_at", nullable=True),
        _moment("last_finished_at", nullable=True),
    )
    return {"dead_letter": dead_letter, "waiting": waiting, "job_lease": lease}


def _access(metadata: MetaData) -> dict[str, Table]:
    grant = Table(
        "access_grant",
        metadata,
        Column("origin", String(128), primary_key=True),
        Column("ordinal", Integer, primary_key=True),
        Column("person_id", String(64), nullable=False),
        Column("role", String(40), nullable=False),
        Column("scope_kind", String(12), nullable=False),
        Column("scope_id", String(64), nullable=False),
        Column("acting_for", String(64), nullable=True),
        _moment("valid_from"),
        _moment("valid_to", nullable=True),
    )
    Index("ix_access_grant_person_id", grant.c.person_id)
    area = Table(
        "owner_area",
        metadata,
        Column("owner_id", String(64), primary_key=True),
        Column("area_id", String(64), primary_key=True),
    )
    key = Table(
        "idempotency_key",
        metadata,
        Column("person_id", String(64), primary_key=True),
        Column("route", String(200), primary_key=True),
        Column("key", String(128), primary_key=True),
        Column("request_hash", LargeBinary, nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("content_type", String(80), nullable=False),
        Column("body", LargeBinary, nullable=False),
        _moment("created_at", default_now=True),
    )
    return {"access_grant": grant, "owner_area": area, "idempotency_key": key}


def _audit(metadata: MetaData) -> dict[str, Table]:
    audit = Table(
        "audit",
        metadata,
        Column("seq", BigInteger, Identity(), primary_key=True),
        Column("at", DateTime(timezone=True), primary_key=True, server_default=func.clock_timestamp()),
        Column("actor", String(128), nullable=False),
        Column("acting_for", String(64), nullable=True),
        Column("role", String(40), nullable=True),
        Column("action", String(80), nullable=False),
        Column("object_type", String(60), nullable=False),
        Column("object_id", String(128), nullable=False),
        Column("owner_id", String(64), nullable=True),
        Column("cause_id", String(160), nullable=False),
        Column("before_hash", LargeBinary, nullable=True),
        Column("after_hash", LargeBinary, nullable=True),
        Column("reason", Text, nullable=True),
        Column("rows", Integer, nullable=False, server_default="1"),
        Column("exported", Boolean, nullable=False, server_default=text("false")),
        postgresql_partition_by="RANGE (at)",
    )
    root = Table(
        "audit_root",
        metadata,
        Column("minute", DateTime(timezone=True), primary_key=True),
        Column("rows", Integer, nullable=False),
        Column("merkle_root", LargeBinary, nullable=False),
        Column("chain_hash", LargeBinary, nullable=False),
    )
    return {"audit": audit, "audit_root": root}
