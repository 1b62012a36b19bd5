"""A customer's scores of a run in one row; facts of months keep the rates of the days summed.

Results of earlier runs are carried over. Facts of months have a new layout: all are marked, so that they are made anew
from the day blocks when they are next needed.
"""

# ruff: noqa: S608  (the text is composed of constants)

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "portrait_0008", "portrait_0007", None, None

_REASONS = (
    "no-data", "incomplete-data", "zero-energy", "zero-peak", "no-capacity", "no-contract-demand",
    "no-reactive-energy", "fewer-than-12-months", "no-scheme", "too-few-indicators",
)  # fmt: skip
_SHIFTS = ("one", "two", "three", "continuous")


def upgrade() -> None:
    # The owner is held to the policies too, and none is for it; they are forced again after every migration.
    for table in ("score", "score_run", "month_facts"):
        op.execute(f"ALTER TABLE portrait.{table} NO FORCE ROW LEVEL SECURITY")
    upgrade_score_run()
    upgrade_score_block()
    op.drop_table("score", schema="portrait")
    upgrade_score_peer_group()
    op.execute("UPDATE portrait.month_facts SET stale = true WHERE facts <> ''")


def upgrade_score_run() -> None:
    comment = "names of that version's schemes, in its order"
    schemes: sa.Column[list[str]] = sa.Column("schemes", sa.ARRAY(sa.String(length=40)), nullable=True, comment=comment)
    op.add_column("score_run", schemes, schema="portrait")
    op.execute(
        "UPDATE portrait.score_run r SET schemes = ARRAY(SELECT DISTINCT s.scheme_version FROM portrait.score s"
        " WHERE s.run_id = r.run_id AND s.scheme_version <> '' ORDER BY 1)"
    )
    op.alter_column("score_run", "schemes", nullable=False, schema="portrait")


def upgrade_score_block() -> None:
    op.create_table(
        "score_block",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("first_month", sa.Date(), nullable=False),
        sa.Column("months", sa.SmallInteger(), nullable=False),
        sa.Column("records", sa.LargeBinary(), nullable=False, comment="services/portrait/rules/score_block.py"),
        sa.PrimaryKeyConstraint("customer_id", "run_id", name=op.f("pk_score_block")),
        schema="portrait",
        comment="What a run found of a customer in all its months; read through the view score",
    )
    fields = (
        "int2send(coalesce(round(s.score * 100), -1)::int2)",
        "int2send((coalesce(array_position(r.schemes, s.scheme_version), 0) - 1)::int2)",
        _byte("coalesce(ascii(s.band), 0)"),
        _byte("coalesce(ascii(s.previous_band), 0)"),
        _byte(_position(_REASONS, "s.not_scored_because")),
        _byte(_position(_SHIFTS, "s.shift")),
        _byte("s.shift_confirmed::int"),
        _byte("(s.indicators <> '')::int"),
        "substring(convert_to(s.peer_group, 'UTF8') || decode(repeat('00', 8), 'hex') FROM 1 FOR 8)",
        "int8send(s.energy_wh)",
        "substring(s.indicators || decode(repeat('00', 81), 'hex') FROM 1 FOR 81)",
    )
    op.execute(
        "INSERT INTO portrait.score_block SELECT s.customer_id, s.run_id, to_date(min(s.month), 'YYYY-MM'), count(*),"
        f" string_agg({' || '.join(fields)}, ''::bytea ORDER BY s.month)"
        " FROM portrait.score s JOIN portrait.score_run r USING (run_id) GROUP BY 1, 2"
    )


def _byte(number: str) -> str:
    return rf"set_byte('\x00'::bytea, 0, {number})"


def _position(names: tuple[str, ...], name: str) -> str:
    listed = ", ".join(f"'{n}'" for n in names)
    return f"coalesce(array_position(ARRAY[{listed}], {name}::text), 0)"


def upgrade_score_peer_group() -> None:
    comment = "rising, in hundredths of 16 bits; empty where withheld"
    hundredths = sa.Column("hundredths", sa.LargeBinary(), nullable=True, comment=comment)
    op.add_column("score_peer_group", hundredths, schema="portrait")
    op.execute(
        "UPDATE portrait.score_peer_group SET hundredths = (SELECT coalesce(string_agg(int2send(round(s * 100)::int2),"
        " ''::bytea ORDER BY s), '') FROM unnest(scores) AS s)"
    )
    op.drop_column("score_peer_group", "scores", schema="portrait")
    op.alter_column("score_peer_group", "hundredths", new_column_name="scores", schema="portrait")
    # Afterwards, so that the constraint is named after the column.
    op.alter_column("score_peer_group", "scores", nullable=False, schema="portrait")


def downgrade() -> None:
    raise NotImplementedError("results in one row are not taken apart again; restore the backup made before")
