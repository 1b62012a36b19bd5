"""Messages: one row per happening, person and channel, with its attempts, accounts and receipts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Time,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.notify.tables.base import MOMENT, metadata

set_part = Table(
    "set_part", metadata,
    Column("set_id", String(100), primary_key=True),
    Column("set_version", BigInteger, primary_key=True),
    Column("part", Integer, primary_key=True),
)  # fmt: skip
delivery = Table(
    "delivery", metadata,
    Column("delivery_id", Uuid, primary_key=True),  # made of happening, person and channel: unique for all three
    Column("happening", String(200), nullable=False),  # event class and subject: what a person is told of once
    Column("person_id", String(64), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("event_class", String(40), nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("cause_type", String(200), nullable=False),
    Column("cause_id", String(200), nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("language", String(2), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    # held, pending, sending, accepted, unknown (may be out), merged (into a digest); ends: delivered, acknowledged,
    # failed (reason), suppressed (reason is the rule)
    Column("state", String(12), nullable=False),
    Column("reason", String(200)),
    Column("provider", String(16)),
    # From the policy in force when it was planned: what follows needs no second look at it.
    Column("ladder", ARRAY(String(10)), nullable=False, server_default=text("'{}'")),  # the channels after this one
    Column("mandatory", Boolean, nullable=False, server_default=text("false")),
    Column("fallback_seconds", Integer),
    Column("ack", Boolean, nullable=False, server_default=text("false")),  # a receipt does not stop the fallback
    Column("digest", String(32)),
    # Only for who was told of one of these classes on the same subject.
    Column("told_of", ARRAY(String(40)), nullable=False, server_default=text("'{}'")),
    Column("after_delivery_id", Uuid),
    Column("fallback_of", Uuid),
    Column("digest_id", Uuid),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", MOMENT, nullable=False),  # while sending: the end of the lease
    Column("doubtful_since", MOMENT),  # an attempt ended without a known result
    Column("fallback_at", MOMENT),  # without receipt or acknowledgement the next channel starts then
    Column("confirm_by", MOMENT),  # without receipt it counts as failed then
    Column("give_up_at", MOMENT, nullable=False),
    Column("provider_message_id", String(64)),
    Column("event_at", MOMENT, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("accepted_at", MOMENT),
    Column("delivered_at", MOMENT),
    Column("opened_at", MOMENT),
    Column("acknowledged_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("created_xid", BigInteger, nullable=False, server_default=text("(pg_current_xact_id()::text)::bigint")),
    Column("seq", BigInteger, Identity(), nullable=False),
)  # fmt: skip
_d = delivery.c
# Each index is written anew with every step of a message: as few as the queries need.
Index("ix_delivery_subject", _d.subject_id, _d.person_id)
Index("ix_delivery_provider_reference", _d.provider_message_id, postgresql_where=_d.provider_message_id.is_not(None))
Index(
    "ix_delivery_due", _d.channel, _d.priority, _d.next_attempt_at,
    postgresql_where=_d.state.in_(("pending", "sending")),
)  # fmt: skip
Index("ix_delivery_give_up", _d.give_up_at, postgresql_where=_d.state.in_(("held", "pending")))
Index("ix_delivery_held", _d.next_attempt_at, postgresql_where=_d.state == "held")
Index("ix_delivery_fallback", _d.fallback_at, postgresql_where=_d.fallback_at.is_not(None))
Index("ix_delivery_confirm", _d.confirm_by, postgresql_where=_d.confirm_by.is_not(None))
Index("ix_delivery_digest", _d.digest_id, postgresql_where=_d.digest_id.is_not(None))
Index("ix_delivery_stream", _d.person_id, _d.created_xid, _d.seq)
# No foreign keys: both are written by the statement that writes the message, which is never deleted; a look for each
# row of a large fan-out would cost as much as its two largest indexes.
delivery_account = Table(
    "delivery_account", metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
)  # fmt: skip
attempt = Table(
    "attempt", metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("provider", String(16), nullable=False),
    Column("outcome", String(20), nullable=False),  # accepted, failed, ambiguous, lost (its sender died)
    Column("reason", String(200)),
    Column("milliseconds", Integer),
    Column("at", MOMENT, nullable=False),
)  # fmt: skip
early_receipt = Table(
    "early_receipt", metadata,  # came before the provider's answer was stored
    Column("provider_message_id", String(64), primary_key=True),
    Column("status", String(100), nullable=False),
    Column("received_at", MOMENT, nullable=False),
)  # fmt: skip
token_bucket = Table(
    "token_bucket", metadata,  # limits that all replicas share
    Column("name", String(200), primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("refilled_at", MOMENT, nullable=False),
)  # fmt: skip
circuit = Table(
    "circuit", metadata,
    Column("provider", String(16), primary_key=True),
    Column("template", String(64), primary_key=True),  # its id; empty: the provider as a whole
    Column("open", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("reason", String(200)),
    Column("opened_at", MOMENT),
    Column("probe_at", MOMENT),
    Column("times_opened", Integer, nullable=False, server_default="0"),
)  # fmt: skip
preference = Table(
    "preference", metadata,  # what a person does not want, by class and channel; * for all
    Column("person_id", String(64), primary_key=True),
    Column("event_class", String(40), primary_key=True),
    Column("channel", String(10), primary_key=True),
    Column("wanted", Boolean, nullable=False),
    Column("changed_at", MOMENT, nullable=False),
)  # fmt: skip
quiet_hours = Table(
    "quiet_hours", metadata,
    Column("person_id", String(64), primary_key=True),
    Column("zone", String(64), nullable=False),
    Column("begins", Time, nullable=False),
    Column("ends", Time, nullable=False),
)  # fmt: skip
