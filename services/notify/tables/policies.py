"""Policies as dated versions, and what each happening was planned from."""

from sqlalchemy import Column, Date, Index, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.tables.base import MOMENT, ids_column, metadata

policy_version = Table(
    "policy_version", metadata,
    Column("version", Uuid, primary_key=True),
    Column("valid_from", Date, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_at", MOMENT, nullable=False),
    Column("confirmed_by", String(64)),
    Column("confirmed_at", MOMENT),
)  # fmt: skip
planning = Table(
    "planning", metadata,  # the event and the people around one customer as they were: a plan can be drawn again
    Column("planning_id", Uuid, primary_key=True),
    Column("customer_id", String(64), primary_key=True),
    Column("event_class", String(40), nullable=False),
    Column("subject_id", String(64), nullable=False, index=True),
    Column("happening", String(200), nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("planned_at", MOMENT, nullable=False, index=True),
    ids_column("account_ids"),
    Column("people", JSONB, nullable=False),
    Index(None, "customer_id", "planned_at"),
)  # fmt: skip
