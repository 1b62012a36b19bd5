"""Planned outages whose notice has to be proven, and what proves it beside the messages themselves."""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text, Uuid

from services.notify.tables.base import MOMENT, id_column, metadata

watched_outage = Table(
    "watched_outage", metadata,
    Column("outage_id", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("starts_at", MOMENT, nullable=False, index=True),
    Column("temporary", Boolean, nullable=False),
    Column("cancelled_at", MOMENT),
)  # fmt: skip
notice_due = Table(
    "notice_due", metadata,  # a customer who has to know; `standing` as last said to others
    Column("outage_id", String(64), primary_key=True),
    Column("customer_id", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),  # the newest of the plan that touches the customer
    Column("standing", String(10), nullable=False),  # pending, unproven, proven, late
    Column("changed_at", MOMENT, nullable=False),
    Index(None, "customer_id"),
)  # fmt: skip
notice_proof = Table(
    "notice_proof", metadata,  # announced, call recorded; never changed
    Column("proof_id", Uuid, primary_key=True),
    id_column("outage_id"),
    Column("customer_id", String(64), nullable=False, index=True),
    id_column("person_id", nullable=True),
    Column("plan_version", BigInteger, nullable=False),  # what was told: the window of this version
    Column("level", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("recorded_by", String(64), nullable=False),
    Column("at", MOMENT, nullable=False),
    Index(None, "outage_id"),
)  # fmt: skip
