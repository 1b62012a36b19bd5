"""Tickets of the service desk."""

from sqlalchemy import Column, String, Table, Text, Uuid

from services.notify.tables.base import MOMENT, metadata

ticket = Table(
    "ticket", metadata,
    Column("ticket_id", Uuid, primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("words", Text, nullable=False),
    Column("opened_by", String(64), nullable=False),
    Column("opened_at", MOMENT, nullable=False),
    Column("closed_at", MOMENT),
)  # fmt: skip
