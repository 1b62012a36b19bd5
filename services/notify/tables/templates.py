"""Wordings as versions: each entered by one person, confirmed by another, never changed."""

from sqlalchemy import Column, Index, Integer, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.tables.base import MOMENT, metadata

template_version = Table(
    "template_version", metadata,
    Column("template_key", Uuid, primary_key=True),
    Column("event_class", String(40), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("language", String(2), nullable=False),
    Column("number", Integer, nullable=False),
    Column("wording", JSONB, nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_at", MOMENT, nullable=False),
    Column("confirmed_by", String(64)),
    Column("confirmed_at", MOMENT),
    Index(None, "event_class", "channel", "language", "number", unique=True),
)  # fmt: skip
