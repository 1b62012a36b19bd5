"""WeChat."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "notify_0004", "notify_0003", None, None


def upgrade() -> None:
    upgrade_wechat_invitation()
    upgrade_wechat_push()
    upgrade_wechat_token()
    upgrade_wechat_user()
    upgrade_wechat_consent()
    upgrade_wechat_login()
    upgrade_wechat_media()
    upgrade_wechat_reply()
    upgrade_wechat_window()


def upgrade_wechat_invitation() -> None:
    op.create_table(
        "wechat_invitation",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_wechat_invitation")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_wechat_invitation_person_id"), "wechat_invitation", ["person_id"], unique=False, schema="notify"
    )


def upgrade_wechat_push() -> None:
    op.create_table(
        "wechat_push",
        sa.Column("push_index", sa.LargeBinary(), nullable=False),
        sa.Column("openid_index", sa.LargeBinary(), nullable=False),
        sa.Column("msg_type", sa.String(length=20), nullable=False),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("fields_cipher", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("push_index", name=op.f("pk_wechat_push")),
        schema="notify",
    )
    op.create_index(
        "ix_wechat_push_open",
        "wechat_push",
        ["received_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.create_index(op.f("ix_wechat_push_openid_index"), "wechat_push", ["openid_index"], unique=False, schema="notify")


def upgrade_wechat_token() -> None:
    op.create_table(
        "wechat_token",
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("value_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "kind", name=op.f("pk_wechat_token")),
        schema="notify",
    )


def upgrade_wechat_user() -> None:
    op.create_table(
        "wechat_user",
        sa.Column("openid_index", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("openid_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("following", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("openid_index", name=op.f("pk_wechat_user")),
        schema="notify",
    )


def upgrade_wechat_consent() -> None:
    op.create_table(
        "wechat_consent",
        sa.Column("openid_index", sa.LargeBinary(), nullable=False),
        sa.Column("template_id", sa.String(length=64), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("choice", sa.String(length=10), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["openid_index"],
            ["notify.wechat_user.openid_index"],
            name=op.f("fk_wechat_consent_openid_index"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("openid_index", "template_id", name=op.f("pk_wechat_consent")),
        schema="notify",
    )


def upgrade_wechat_login() -> None:
    op.create_table(
        "wechat_login",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["notify.wechat_invitation.invitation_id"],
            name=op.f("fk_wechat_login_invitation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_wechat_login")),
        schema="notify",
    )


def upgrade_wechat_media() -> None:
    op.create_table(
        "wechat_media",
        sa.Column("media_index", sa.LargeBinary(), nullable=False),
        sa.Column("openid_index", sa.LargeBinary(), nullable=False),
        sa.Column("media_id_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=True),
        sa.Column("content_cipher", sa.LargeBinary(), nullable=True),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["openid_index"],
            ["notify.wechat_user.openid_index"],
            name=op.f("fk_wechat_media_openid_index"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("media_index", name=op.f("pk_wechat_media")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_wechat_media_openid_index"), "wechat_media", ["openid_index"], unique=False, schema="notify"
    )


def upgrade_wechat_reply() -> None:
    op.create_table(
        "wechat_reply",
        sa.Column("reply_id", sa.Uuid(), nullable=False),
        sa.Column("openid_index", sa.LargeBinary(), nullable=False),
        sa.Column("text_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("written_by", sa.String(length=64), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["openid_index"],
            ["notify.wechat_user.openid_index"],
            name=op.f("fk_wechat_reply_openid_index"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("reply_id", name=op.f("pk_wechat_reply")),
        schema="notify",
    )
    op.create_index(
        "ix_wechat_reply_open",
        "wechat_reply",
        ["written_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("state IN ('pending', 'sending')"),
    )
    op.create_index(
        op.f("ix_wechat_reply_openid_index"), "wechat_reply", ["openid_index"], unique=False, schema="notify"
    )


def upgrade_wechat_window() -> None:
    op.create_table(
        "wechat_window",
        sa.Column("openid_index", sa.LargeBinary(), nullable=False),
        sa.Column("deed", sa.String(length=10), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["openid_index"],
            ["notify.wechat_user.openid_index"],
            name=op.f("fk_wechat_window_openid_index"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("openid_index", "deed", name=op.f("pk_wechat_window")),
        schema="notify",
    )


def downgrade() -> None:
    op.drop_table("wechat_window", schema="notify")
    op.drop_table("wechat_reply", schema="notify")
    op.drop_table("wechat_media", schema="notify")
    op.drop_table("wechat_login", schema="notify")
    op.drop_table("wechat_consent", schema="notify")
    op.drop_table("wechat_user", schema="notify")
    op.drop_table("wechat_token", schema="notify")
    op.drop_table("wechat_push", schema="notify")
    op.drop_table("wechat_invitation", schema="notify")
