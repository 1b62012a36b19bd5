"""Shifts, scores and disputes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "portrait_0006", "portrait_0005", None, None


def upgrade() -> None:
    upgrade_customer_shift()
    upgrade_score()
    upgrade_score_chunk()
    upgrade_score_dispute()
    upgrade_score_document()
    upgrade_score_peer_group()
    upgrade_score_run()


def upgrade_customer_shift() -> None:
    op.create_table(
        "customer_shift",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("shift", sa.String(length=12), nullable=False),
        sa.Column("shutdown_days", sa.ARRAY(sa.Date()), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "effective_from", name=op.f("pk_customer_shift")),
        schema="portrait",
    )


def upgrade_score() -> None:
    op.create_table(
        "score",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("band", sa.String(length=1), nullable=True),
        sa.Column("previous_band", sa.String(length=1), nullable=True),
        sa.Column("not_scored_because", sa.String(length=40), nullable=True),
        sa.Column("scheme_version", sa.String(length=40), nullable=False),
        sa.Column("shift", sa.String(length=12), nullable=False, comment="empty where nothing was used"),
        sa.Column(
            "shift_confirmed", sa.Boolean(), nullable=False, comment="by the customer; else proposed from the curve"
        ),
        sa.Column("peer_group", sa.String(length=8), nullable=False),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        sa.Column(
            "indicators", sa.LargeBinary(), nullable=False, comment="services/portrait/rules/stored_indicators.py"
        ),
        sa.PrimaryKeyConstraint("customer_id", "month", "run_id", name=op.f("pk_score")),
        schema="portrait",
    )


def upgrade_score_chunk() -> None:
    op.create_table(
        "score_chunk",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("phase", sa.SmallInteger(), nullable=False, comment="1 score, 2 publish, 3 tell"),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("after_id", sa.String(length=64), nullable=False, comment="customers behind this one"),
        sa.Column(
            "up_to_id", sa.String(length=64), nullable=True, comment="and up to this one; null for the last chunk"
        ),
        sa.Column("customers", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "peers", sa.LargeBinary(), nullable=True, comment="what publishing counts, month by month; taken away then"
        ),
        sa.Column("done_by", sa.String(length=128), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "phase", "ordinal", name=op.f("pk_score_chunk")),
        schema="portrait",
        comment="A row is locked by the replica that works on it; a replica that dies lets go of it",
    )


def upgrade_score_dispute() -> None:
    op.create_table(
        "score_dispute",
        sa.Column("dispute_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("ground", sa.String(length=30), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="as it was told"),
        sa.Column("disputed_by", sa.String(length=64), nullable=False),
        sa.Column("disputed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dispute_id", name=op.f("pk_score_dispute")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_score_dispute_customer_id"), "score_dispute", ["customer_id"], unique=False, schema="portrait"
    )


def upgrade_score_document() -> None:
    op.create_table(
        "score_document",
        sa.Column("kind", sa.String(length=20), nullable=False, comment="scheme or prices"),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column(
            "scope_kind", sa.String(length=10), nullable=False, comment="nation, province, company: the nearest wins"
        ),
        sa.Column("scope_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False, comment="document and number it was taken from"),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True, comment="first day no longer in force; open if null"),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True, comment="another person; in force only then"),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_score_document")),
        schema="portrait",
    )


def upgrade_score_peer_group() -> None:
    op.create_table(
        "score_peer_group",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("peer_group", sa.String(length=8), nullable=False),
        sa.Column("peers", sa.Integer(), nullable=False),
        sa.Column("withheld_because", sa.String(length=40), nullable=True),
        sa.Column("scores", sa.ARRAY(sa.Float()), nullable=False, comment="rising; empty where withheld"),
        sa.PrimaryKeyConstraint("run_id", "month", "peer_group", name=op.f("pk_score_peer_group")),
        schema="portrait",
    )


def upgrade_score_run() -> None:
    op.create_table(
        "score_run",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("from_month", sa.String(length=7), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False, comment="last of the months; the one that is told"),
        sa.Column("customer_id", sa.String(length=64), nullable=True, comment="the only customer of a run on demand"),
        sa.Column("trial", sa.Boolean(), nullable=False, comment="seen by its id alone; nobody is told of it"),
        sa.Column("chunk_customers", sa.Integer(), nullable=False, comment="how many a replica takes at a time"),
        sa.Column("scheme_version", sa.String(length=40), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "published_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its results became the results; null until it is whole",
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="when everybody had been told"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_score_run")),
        schema="portrait",
    )
    op.create_index(
        "ix_score_run_open",
        "score_run",
        ["requested_at"],
        unique=False,
        schema="portrait",
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("score_run", schema="portrait")
    op.drop_table("score_peer_group", schema="portrait")
    op.drop_table("score_document", schema="portrait")
    op.drop_table("score_dispute", schema="portrait")
    op.drop_table("score_chunk", schema="portrait")
    op.drop_table("score", schema="portrait")
    op.drop_table("customer_shift", schema="portrait")
