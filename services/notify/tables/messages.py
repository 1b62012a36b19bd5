"""Messages: one row per happening, person and channel, with its attempts, accounts and receipts."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.tables.base import MOMENT, metadata

set_part = Table(
    "set_part", metadata,
    Column("set_id", String(100), primary_key=True),
    Column("set_version", BigInteger, primary_key=True),
    Column("part", Integer, primary_key=True),
)  # fmt: skip
delivery = Table(
    "delivery", metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("happening", String(200), nullable=False),  # event class and subject: what a person is told of once
    Column("person_id", String(64), nullable=False, index=True),
    Column("channel", String(10), nullable=False),
    Column("event_class", String(40), nullable=False),
    Column("subject_id", String(64), nullable=False, index=True),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("cause_type", String(200), nullable=False),
    Column("cause_id", String(200), nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("language", String(2), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("state", String(12), nullable=False),  # pending, sending, accepted, delivered, failed, suppressed
    Column("reason", String(200)),
    Column("after_delivery_id", Uuid),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", MOMENT, nullable=False),
    Column("lease_until", MOMENT),
    Column("give_up_at", MOMENT, nullable=False),
    Column("provider_message_id", String(64), index=True),
    Column("event_at", MOMENT, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("accepted_at", MOMENT),
    Column("ended_at", MOMENT),
    UniqueConstraint("happening", "person_id", "channel"),
)  # fmt: skip
Index(
    "ix_delivery_due", delivery.c.priority, delivery.c.next_attempt_at,
    postgresql_where=delivery.c.state.in_(("pending", "sending")),
)  # fmt: skip
delivery_account = Table(
    "delivery_account", metadata,
    Column("delivery_id", ForeignKey(delivery.c.delivery_id, ondelete="CASCADE"), primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
)  # fmt: skip
attempt = Table(
    "attempt", metadata,
    Column("delivery_id", ForeignKey(delivery.c.delivery_id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("outcome", String(20), nullable=False),
    Column("reason", String(200)),
    Column("at", MOMENT, nullable=False),
)  # fmt: skip
early_receipt = Table(
    "early_receipt", metadata,  # came before the provider's answer was stored
    Column("provider_message_id", String(64), primary_key=True),
    Column("status", String(100), nullable=False),
    Column("received_at", MOMENT, nullable=False),
)  # fmt: skip
