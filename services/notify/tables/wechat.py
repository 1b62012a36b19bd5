"""What the Official Account told: its tokens, pushes, the people who wrote, and what may still be sent to them.

A row of `wechat_user` holds the key of all that came from one person by WeChat; without it nothing of it can be read.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Uuid

from services.notify.tables.base import MOMENT, metadata

wechat_token = Table(
    "wechat_token", metadata,  # one row for all replicas
    Column("app_id", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),  # access, or page for the ticket of the JS-SDK
    Column("version", BigInteger, nullable=False),
    Column("value_cipher", LargeBinary, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
)  # fmt: skip
wechat_push = Table(
    "wechat_push", metadata,  # kept before it is answered; the index makes a repetition visible
    Column("push_index", LargeBinary, primary_key=True),
    Column("openid_index", LargeBinary, nullable=False, index=True),
    Column("msg_type", String(20), nullable=False),
    Column("event", String(60), nullable=False),
    Column("fields_cipher", LargeBinary, nullable=True),  # null once its sender wanted to be forgotten
    Column("received_at", MOMENT, nullable=False),
    Column("handled_at", MOMENT),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("problem", String(200)),
)  # fmt: skip
_p = wechat_push.c
Index("ix_wechat_push_open", _p.received_at, postgresql_where=_p.handled_at.is_(None))
wechat_user = Table(
    "wechat_user", metadata,
    Column("openid_index", LargeBinary, primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("openid_cipher", LargeBinary, nullable=False),
    Column("following", Boolean, nullable=False),
    Column("seen_at", MOMENT, nullable=False),
)  # fmt: skip
_USER = wechat_user.c.openid_index
wechat_window = Table(
    "wechat_window", metadata,  # customer-service messages that an action of the person still allows
    Column("openid_index", ForeignKey(_USER, ondelete="CASCADE"), primary_key=True),
    Column("deed", String(10), primary_key=True),
    Column("left", Integer, nullable=False),
    Column("closes_at", MOMENT, nullable=False),
)  # fmt: skip
wechat_consent = Table(
    "wechat_consent", metadata,  # one accepted click is one subscribe message
    Column("openid_index", ForeignKey(_USER, ondelete="CASCADE"), primary_key=True),
    Column("template_id", String(64), primary_key=True),
    Column("left", Integer, nullable=False),
    Column("choice", String(10), nullable=False),
    Column("said_at", MOMENT, nullable=False),
)  # fmt: skip
wechat_reply = Table(
    "wechat_reply", metadata,  # what staff wrote to a person inside a window
    Column("reply_id", Uuid, primary_key=True),
    Column("openid_index", ForeignKey(_USER, ondelete="CASCADE"), nullable=False, index=True),
    Column("text_cipher", LargeBinary, nullable=False),
    Column("written_by", String(64), nullable=False),
    Column("written_at", MOMENT, nullable=False),
    Column("state", String(10), nullable=False),  # pending, sending, sent, failed, unknown (may be out)
    Column("reason", String(200)),
    Column("sent_at", MOMENT),
)  # fmt: skip
Index("ix_wechat_reply_open", wechat_reply.c.written_at,
      postgresql_where=wechat_reply.c.state.in_(("pending", "sending")))  # fmt: skip
wechat_media = Table(
    "wechat_media", metadata,
    Column("media_index", LargeBinary, primary_key=True),
    Column("openid_index", ForeignKey(_USER, ondelete="CASCADE"), nullable=False, index=True),
    Column("media_id_cipher", LargeBinary, nullable=False),
    Column("said_at", MOMENT, nullable=False),
    Column("next_try_at", MOMENT),  # null: fetched, or given up with the problem
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("content_type", String(40)),
    Column("content_cipher", LargeBinary),
    Column("problem", String(200)),
)  # fmt: skip
wechat_invitation = Table(
    "wechat_invitation", metadata,
    Column("invitation_id", Uuid, primary_key=True),
    Column("person_id", String(64), nullable=False, index=True),
    Column("created_by", String(64), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
)  # fmt: skip
wechat_login = Table(
    "wechat_login", metadata,  # a browser on its way through WeChat's login page
    Column("state_hash", LargeBinary, primary_key=True),
    Column("invitation_id", ForeignKey(wechat_invitation.c.invitation_id, ondelete="CASCADE"), nullable=False),
    Column("browser_hash", LargeBinary, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
)  # fmt: skip
