"""Tables of what follows from interval data: days to look at again, marks, estimates, month closes and revisions."""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

_Moment = DateTime(timezone=True)


@dataclass(frozen=True, kw_only=True)
class DerivedTables:
    changed_days: Table
    day_mark: Table
    gap_estimate: Table
    month_close: Table
    usage_revision: Table


def derived_tables(metadata: MetaData) -> DerivedTables:
    return DerivedTables(
        changed_days=Table(
            "changed_days",
            metadata,
            Column("seq", BigInteger, Identity(), primary_key=True),
            Column("noted_at", _Moment, nullable=False),
            Column("size", Integer, nullable=False),
            Column("day_points", Text, nullable=False, comment="a line per day: day, tab, usage points by blanks"),
            comment="One row per stored batch; taken away once its days have been looked at",
        ),
        day_mark=_day_mark(metadata),
        gap_estimate=_gap_estimate(metadata),
        month_close=Table(
            "month_close",
            metadata,
            Column("month", String(7), primary_key=True),
            Column("closed_at", _Moment, nullable=False),
            Column("closed_by", String(64), nullable=False),
            Column("done_up_to", String(64), nullable=False, comment="last customer computed; empty at the start"),
            Column("finished_at", _Moment),
        ),
        usage_revision=_usage_revision(metadata),
    )


def _day_mark(metadata: MetaData) -> Table:
    return Table(
        "day_mark",
        metadata,
        Column("usage_point_id", String(64), primary_key=True),
        Column("channel", SmallInteger, primary_key=True, autoincrement=False),
        Column("day", Date, primary_key=True),
        Column("step_minutes", SmallInteger, primary_key=True, autoincrement=False),
        Column("customer_id", String(64), index=True),
        Column("marks", LargeBinary, nullable=False, comment="a byte per slot: rules/validation.py MARKS"),
        Column("suspect", SmallInteger, nullable=False),
        Column("marked_at", _Moment, nullable=False),
        comment="Days with suspect slots only; a day without a row has passed every check",
    )


def _gap_estimate(metadata: MetaData) -> Table:
    return Table(
        "gap_estimate",
        metadata,
        Column("usage_point_id", String(64), primary_key=True),
        Column("channel", SmallInteger, primary_key=True, autoincrement=False),
        Column("day", Date, primary_key=True),
        Column("customer_id", String(64), index=True),
        Column("slots", SmallInteger, nullable=False),
        Column("energy", BigInteger, nullable=False, comment="Wh or varh put into the slots"),
        Column("method", String(20), nullable=False, comment="rules/gap_estimate.py METHODS"),
        Column("scaled", String(20), nullable=False, comment="register, or why the register did not scale it"),
        Column("estimated_at", _Moment, nullable=False),
    )


def _usage_revision(metadata: MetaData) -> Table:
    return Table(
        "usage_revision",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        Column("month", String(7), primary_key=True),
        Column("revision", Integer, primary_key=True, autoincrement=False),
        Column("energy_wh", BigInteger, nullable=False),
        Column("completeness", Float, nullable=False),
        Column("reason", String(20), nullable=False, comment="score-run, month-close or late-data"),
        Column("after_close", Boolean, nullable=False),
        Column("changed", JSONB, nullable=False, comment="days and usage points looked at, energy before"),
        Column("made_at", _Moment, nullable=False),
        comment="Every figure that was ever told; rows are only added",
    )
