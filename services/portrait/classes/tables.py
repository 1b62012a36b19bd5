"""Tables of the classes: dated rule documents, frozen percentiles, memberships with their reasons, analyses."""

from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy import BigInteger as Big
from sqlalchemy.dialects.postgresql import JSONB

_MOMENT = DateTime(timezone=True)
INDICATOR_COLUMNS = (
    "supply_nature_score",
    "avg_monthly_kwh",
    "monthly_service_rate",
    "kwh_growth_rate",
    "complaint_rate",
    "violation_index",
    "penalty_bill_share",
    "avg_monthly_bill_yuan",
)
"""Of `class_facts`, in the units of rules/portrait_indicators.py; null where there is no value."""


@dataclass(frozen=True, kw_only=True)
class ClassTables:
    class_document: Table
    class_percentile: Table
    class_facts: Table
    class_membership: Table
    analysis_run: Table
    analysis_line: Table
    arrears: Table


def class_tables(metadata: MetaData) -> ClassTables:
    return ClassTables(**_rules(metadata), **_customers(metadata), **_analyses(metadata))


def _rules(metadata: MetaData) -> dict[str, Table]:
    document = Table(
        "class_document",
        metadata,
        Column("version", String(40), primary_key=True),
        Column("effective_from", Date, nullable=False),
        Column("document", JSONB, nullable=False, comment="form of data/class_rules_demo.json"),
        Column("note", Text, nullable=False),
        Column("entered_by", String(64), nullable=False),
        Column("entered_at", _MOMENT, nullable=False),
        Column("confirmed_by", String(64)),
        Column("confirmed_at", _MOMENT),
        CheckConstraint("confirmed_by IS DISTINCT FROM entered_by", name="second_person"),
    )
    percentile = Table(
        "class_percentile",
        metadata,
        Column("month", String(7), primary_key=True),
        Column("frozen_at", _MOMENT, nullable=False),
        Column("customers", Integer, nullable=False),
        Column("share", Float, nullable=False, comment="the top share that the borders cut off"),
        Column("thresholds", JSONB, nullable=False),
        Column("population", JSONB, nullable=False, comment="indicator -> mean and standard deviation"),
    )
    return {"class_document": document, "class_percentile": percentile}


def _customers(metadata: MetaData) -> dict[str, Table]:
    facts = Table(
        "class_facts",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        *[Column(name, Float) for name in INDICATOR_COLUMNS],
        Column("dual_supply", Boolean, nullable=False),
        Column("capacity_application", Boolean, nullable=False, comment="within twelve months"),
        Column("vetoes", ARRAY(String(40)), nullable=False),
        comment="What the classes look at, one row a customer: read as columns over the whole population",
    )
    membership = Table(
        "class_membership",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        Column("profile_version", Big, primary_key=True),
        Column("class_name", String(30), primary_key=True),
        Column("entered", Boolean, nullable=False, comment="false when the customer left the class"),
        Column("at", _MOMENT, nullable=False),
        Column("rule_version", String(80), nullable=False),
        Column("because", JSONB, nullable=False, comment="criteria that turned, with the values before and after"),
    )
    arrears = Table(
        "arrears",
        metadata,
        Column("bill_id", String(64), primary_key=True),
        Column("customer_id", String(64), nullable=False, index=True),
        Column("account_id", String(64), nullable=False),
        Column("since", Date),
        Column("amount_yuan", Numeric(16, 2)),
        Column("cleared_at", _MOMENT, comment="may be known before the opening"),
    )
    return {"class_facts": facts, "class_membership": membership, "arrears": arrears}


def _analyses(metadata: MetaData) -> dict[str, Table]:
    run = Table(
        "analysis_run",
        metadata,
        Column("run_id", String(64), primary_key=True),
        Column("kind", String(20), nullable=False, comment="what-if or segments"),
        Column("parameters", JSONB, nullable=False),
        Column("requested_by", String(64), nullable=False),
        Column("requested_at", _MOMENT, nullable=False),
        Column("finished_at", _MOMENT),
        Column("result", JSONB),
    )
    Index("ix_analysis_run_open", run.c.requested_at, postgresql_where=text("finished_at IS NULL"))
    line = Table(
        "analysis_line",
        metadata,
        Column("run_id", String(64), primary_key=True),
        Column("customer_id", String(64), primary_key=True),
        Column("classes_before", ARRAY(String(30)), nullable=False),
        Column("classes_after", ARRAY(String(30)), nullable=False, comment="of a what-if"),
        Column("segment", Integer, comment="of a segmentation"),
    )
    return {"analysis_run": run, "analysis_line": line}


OWNED = ("class_facts", "class_membership", "arrears", "analysis_line")
