"""What people ask about their own data: a copy, a correction, to be forgotten."""

from sqlalchemy import Column, Index, LargeBinary, String, Table, Uuid

from services.notify.tables.base import MOMENT, metadata

privacy_request = Table(
    "privacy_request", metadata,
    Column("request_id", Uuid, primary_key=True),
    Column("person_id", String(64), nullable=False, index=True),  # a pseudonym once the person is erased
    Column("kind", String(12), nullable=False),  # copy, correction, erasure
    Column("words_cipher", LargeBinary),  # under the person's key
    Column("asked_by", String(64), nullable=False),
    Column("asked_at", MOMENT, nullable=False),
    Column("due_at", MOMENT, nullable=False),
    Column("done_at", MOMENT),
    Column("done_by", String(64)),
)  # fmt: skip
Index("ix_privacy_request_open", privacy_request.c.asked_at, postgresql_where=privacy_request.c.done_at.is_(None))
