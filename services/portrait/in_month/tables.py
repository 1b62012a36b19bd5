"""Tables of in-month warnings: which customers to look at, their own thresholds, the warnings that stood or stand."""

from dataclasses import dataclass

from sqlalchemy import Column, Date, DateTime, Index, Integer, MetaData, String, Table
from sqlalchemy.dialects.postgresql import JSONB

_Moment = DateTime(timezone=True)
OWNED = ("warning_threshold", "usage_warning")


@dataclass(frozen=True, kw_only=True)
class InMonthTables:
    warning_due: Table
    warning_threshold: Table
    usage_warning: Table


def in_month_tables(metadata: MetaData) -> InMonthTables:
    due = Table(
        "warning_due",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        Column("since", _Moment, nullable=False),
        Column("changed_at", _Moment, nullable=False),
        comment="Customers whose current month has changed; for the worker only",
    )
    threshold = Table(
        "warning_threshold",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        Column("effective_from", Date, primary_key=True),
        Column("document", JSONB, nullable=False, comment="the customer's own values only"),
        Column("set_by", String(64), nullable=False),
        Column("set_at", _Moment, nullable=False),
    )
    warning = Table(
        "usage_warning",
        metadata,
        Column("warning_id", String(64), primary_key=True),
        Column("customer_id", String(64), nullable=False),
        Column("account_id", String(64), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("month", String(7), nullable=False),
        Column("level", String(20), nullable=False),
        Column("line", JSONB, nullable=False, comment="value, limit, unit and figures when it was told last"),
        Column("times_told", Integer, nullable=False),
        Column("began_at", _Moment, nullable=False),
        Column("cleared_at", _Moment),
        Column("cleared_because", String(40)),
    )
    Index("ix_usage_warning_customer_id", warning.c.customer_id, warning.c.month)
    Index(
        "uq_usage_warning_open", warning.c.account_id, warning.c.kind, unique=True,
        postgresql_where=warning.c.cleared_at.is_(None),
    )  # fmt: skip
    return InMonthTables(warning_due=due, warning_threshold=threshold, usage_warning=warning)
