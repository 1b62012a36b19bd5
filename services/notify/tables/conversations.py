"""Conversations with customers: one open thread per customer and topic, its words sealed, its clock in the clear."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, SmallInteger, String, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.tables.base import MOMENT, id_column, ids_column, metadata

conversation = Table(
    "conversation", metadata,
    Column("conversation_id", Uuid, primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("topic", String(12), nullable=False),  # fault, bill, score-query, hazard, other
    Column("state", String(8), nullable=False),  # open, closed
    Column("opened_at", MOMENT, nullable=False),
    Column("opened_by", String(64), nullable=False),
    id_column("person_id"),  # whom answers go to: who wrote last on the customer's side
    Column("channel", String(8), nullable=False),  # wechat, app: how that person wrote last
    id_column("owner_id", nullable=True),  # who is to answer; null: nobody answers for the customer
    Column("by_hand", Boolean, nullable=False, server_default=text("false")),  # handed over: posts do not move it
    ids_column("asked_ids"),  # who was asked at the present level
    Column("tell_due", Boolean, nullable=False, server_default=text("false")),  # those have not been told yet
    # The clock of the question that waits; all null when none does.
    Column("waiting_since", MOMENT),
    Column("due_at", MOMENT),
    Column("level", SmallInteger, nullable=False, server_default="0"),  # 0 manager, 1 deputy, 2 team leader, 3 desk
    Column("next_step_at", MOMENT),
    Column("breached_at", MOMENT),  # the promise broke on this question
    Column("answered_at", MOMENT),
    Column("first_answered_at", MOMENT),
    Column("ticket_id", Uuid),
    Column("attached", JSONB),  # the score that a dispute doubts
    Column("closed_at", MOMENT),
    Column("closed_by", String(64)),
    Column("outcome", String(12)),  # satisfied, unresolved: the customer's own word
)  # fmt: skip
_c = conversation.c
Index("uq_conversation_open", _c.customer_id, _c.topic, unique=True, postgresql_where=_c.state == "open")
Index("ix_conversation_step", _c.next_step_at, postgresql_where=_c.next_step_at.is_not(None))
Index("ix_conversation_waiting", _c.waiting_since, postgresql_where=_c.waiting_since.is_not(None))
Index("ix_conversation_tell", _c.opened_at, postgresql_where=text("tell_due"))
conversation_message = Table(
    "conversation_message", metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("conversation_id", ForeignKey(_c.conversation_id, ondelete="CASCADE"), nullable=False),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("kind", String(10), nullable=False),  # text, photo, voice; receipt, answer, rating of ours; dispute
    Column("author_id", String(64), nullable=False),
    id_column("person_id"),  # on the customer's side, whose key seals the words; house: nobody's
    Column("text_cipher", LargeBinary),
    Column("content_cipher", LargeBinary),  # a photo sent over our own pages, base64
    Column("media_index", LargeBinary),  # a photo or voice sent by WeChat, kept with its media
    Column("channel", String(8), nullable=False),  # wechat, app; of ours: how the question came
    Column("said_at", MOMENT, nullable=False),
    Column("push_index", LargeBinary, unique=True),
    Column("told_at", MOMENT),  # of ours: planned as a message to the person
)  # fmt: skip
_m = conversation_message.c
Index("ix_conversation_message_said", _m.conversation_id, _m.said_at)
Index("ix_conversation_message_untold", _m.said_at, postgresql_where=_m.told_at.is_(None))
Index("ix_conversation_message_person", _m.person_id)
