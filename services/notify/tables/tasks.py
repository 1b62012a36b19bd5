"""Work that the house finds for its own staff: a customer that cannot be reached, one that nobody answers for."""

from sqlalchemy import Column, Index, String, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.tables.base import MOMENT, metadata

task = Table(
    "task", metadata,
    Column("task_id", Uuid, primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("role", String(64), nullable=False),  # whoever holds it over the customer now has the task
    Column("details", JSONB, nullable=False),
    Column("opened_at", MOMENT, nullable=False),
    Column("due_at", MOMENT, nullable=False),
    Column("done_at", MOMENT),
    Column("done_by", String(64)),
)  # fmt: skip
Index("uq_task_open", task.c.customer_id, task.c.kind, unique=True, postgresql_where=text("done_at IS NULL"))
