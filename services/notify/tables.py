"""Tables of notify: the directory (names, phones and openids as ciphertext only), messages, tickets."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.kernel.tables import open_schema

metadata = open_schema("notify")
_MOMENT = DateTime(timezone=True)


def _id(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=nullable)


def _ids(name: str) -> Column[list[str]]:
    return Column(name, ARRAY(String(64)), nullable=False, server_default=text("'{}'"))


unit = Table(
    "unit", metadata,
    Column("unit_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    _id("parent_id", nullable=True),
)  # fmt: skip
post = Table(
    "post", metadata,
    Column("post_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    _id("unit_id"),
    Column("role", String(64), nullable=False),
    _ids("customer_ids"),
    Column("active", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="0"),  # of the grants as published
    Column("grants_digest", LargeBinary),
)  # fmt: skip
holding = Table(
    "holding", metadata,
    Column("post_id", String(64), primary_key=True),
    Column("ordinal", SmallInteger, primary_key=True),
    Column("person_id", String(64), nullable=False, index=True),
    Column("valid_from", _MOMENT, nullable=False),
    Column("valid_to", _MOMENT),
    _id("acting_for", nullable=True),
)  # fmt: skip
person = Table(
    "person", metadata,
    Column("person_id", String(64), primary_key=True),
    Column("language", String(2), nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("name_cipher", LargeBinary, nullable=False),
)  # fmt: skip
contact = Table(
    "contact", metadata,
    Column("person_id", ForeignKey(person.c.person_id, ondelete="CASCADE"), primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("blind_index", LargeBinary, primary_key=True),
    Column("value_cipher", LargeBinary, nullable=False),
    Column("source", String(10), nullable=False),
    Column("unusable_because", String(200)),
    Index(None, "kind", "blind_index"),
)  # fmt: skip
engagement = Table(
    "engagement", metadata,
    Column("person_id", String(64), primary_key=True),
    Column("engagement_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    _ids("account_ids"),
    Column("role", String(64), nullable=False),
    Column("valid_from", _MOMENT, nullable=False),
    Column("valid_to", _MOMENT),
)  # fmt: skip
customer = Table(
    "customer", metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
)  # fmt: skip
account = Table(
    "account", metadata,
    Column("account_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    _id("service_area_id"),
)  # fmt: skip
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
    Column("next_attempt_at", _MOMENT, nullable=False),
    Column("lease_until", _MOMENT),
    Column("give_up_at", _MOMENT, nullable=False),
    Column("provider_message_id", String(64), index=True),
    Column("event_at", _MOMENT, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("accepted_at", _MOMENT),
    Column("ended_at", _MOMENT),
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
    Column("at", _MOMENT, nullable=False),
)  # fmt: skip
early_receipt = Table(
    "early_receipt", metadata,  # came before the provider's answer was stored
    Column("provider_message_id", String(64), primary_key=True),
    Column("status", String(100), nullable=False),
    Column("received_at", _MOMENT, nullable=False),
)  # fmt: skip
ticket = Table(
    "ticket", metadata,
    Column("ticket_id", Uuid, primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("words", Text, nullable=False),
    Column("opened_by", String(64), nullable=False),
    Column("opened_at", _MOMENT, nullable=False),
    Column("closed_at", _MOMENT),
)  # fmt: skip
OWNED = {t.name: "customer_id" for t in (engagement, customer, account, delivery, delivery_account, ticket)}
