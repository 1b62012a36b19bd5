"""Announcements, and the list of people frozen when each was approved."""

from sqlalchemy import Column, ForeignKey, String, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.tables.base import MOMENT, id_column, metadata

announcement = Table(
    "announcement", metadata,
    Column("announcement_key", Uuid, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("headline", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("audience", JSONB, nullable=False),
    Column("state", String(12), nullable=False),  # draft, approved, sent, recalled
    Column("send_at", MOMENT, nullable=False),
    Column("remind_at", MOMENT),
    Column("author", String(64), nullable=False),
    Column("written_at", MOMENT, nullable=False),
    Column("approved_by", String(64)),
    Column("approved_at", MOMENT),
    Column("recalled_by", String(64)),
    Column("sent_at", MOMENT),
    Column("reminded_at", MOMENT),
)  # fmt: skip
announced_to = Table(
    "announced_to", metadata,
    Column("announcement_key", ForeignKey(announcement.c.announcement_key, ondelete="CASCADE"), primary_key=True),
    Column("person_id", String(64), primary_key=True),
    id_column("customer_id"),
)  # fmt: skip
