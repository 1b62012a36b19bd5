"""Tables of scoring: runs with their chunks and results, what people enter, confirm and dispute."""

from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.portrait.scoring.score_view import view_statements

_MOMENT = DateTime(timezone=True)


_RUNS_OVER_ALL = (
    "DROP POLICY IF EXISTS api_runs_over_all ON portrait.score_run",
    "CREATE POLICY api_runs_over_all ON portrait.score_run TO portrait_api"
    " USING (customer_id IS NULL) WITH CHECK (customer_id IS NULL)",
)
"""A run on demand belongs to its customer; one over all customers names none and is seen by every caller."""


@dataclass(frozen=True, kw_only=True)
class ScoringTables:
    score_run: Table
    score_chunk: Table
    score_block: Table
    score_peer_group: Table
    score_document: Table
    customer_shift: Table
    score_dispute: Table


def scoring_tables(metadata: MetaData) -> ScoringTables:
    return ScoringTables(
        score_run=_run(metadata),
        score_chunk=_chunk(metadata),
        score_block=_block(metadata),
        score_peer_group=_peer_group(metadata),
        score_document=_document(metadata),
        customer_shift=_shift(metadata),
        score_dispute=_dispute(metadata),
    )


def _owner(*, primary_key: bool = False) -> Column[str]:
    return Column("customer_id", String(64), primary_key=primary_key, nullable=False, index=not primary_key)


def _run(metadata: MetaData) -> Table:
    table = Table(
        "score_run",
        metadata,
        Column("run_id", Uuid, primary_key=True),
        Column("from_month", String(7), nullable=False),
        Column("month", String(7), nullable=False, comment="last of the months; the one that is told"),
        Column("customer_id", String(64), comment="the only customer of a run on demand"),
        Column("trial", Boolean, nullable=False, comment="seen by its id alone; nobody is told of it"),
        Column("chunk_customers", Integer, nullable=False, comment="how many a replica takes at a time"),
        Column("scheme_version", String(40), nullable=False),
        Column("schemes", ARRAY(String(40)), nullable=False, comment="names of that version's schemes, in its order"),
        Column("requested_by", String(64), nullable=False),
        Column("requested_at", _MOMENT, nullable=False),
        Column("published_at", _MOMENT, comment="when its results became the results; null until it is whole"),
        Column("finished_at", _MOMENT, comment="when everybody had been told"),
    )
    Index("ix_score_run_open", table.c.requested_at, postgresql_where=table.c.finished_at.is_(None))
    metadata.info.setdefault("after_migration", []).extend(_RUNS_OVER_ALL)
    return table


def _chunk(metadata: MetaData) -> Table:
    # Numbers of all customers: compressing them costs more than it saves, and they are taken away soon.
    metadata.info.setdefault("after_migration", []).append(
        f'ALTER TABLE "{metadata.schema}".score_chunk ALTER COLUMN peers SET STORAGE EXTERNAL'
    )
    return Table(
        "score_chunk",
        metadata,
        Column("run_id", Uuid, primary_key=True),
        Column("phase", SmallInteger, primary_key=True, comment="1 score, 2 publish, 3 tell"),
        Column("ordinal", Integer, primary_key=True),
        Column("after_id", String(64), nullable=False, comment="customers behind this one"),
        Column("up_to_id", String(64), comment="and up to this one; null for the last chunk"),
        Column("customers", Integer, nullable=False, server_default="0"),
        Column("peers", LargeBinary, comment="what publishing counts, month by month; taken away then"),
        Column("done_by", String(128)),
        Column("done_at", _MOMENT),
        comment="A row is locked by the replica that works on it; a replica that dies lets go of it",
    )


def _block(metadata: MetaData) -> Table:
    metadata.info.setdefault("after_migration", []).extend(view_statements(schema=str(metadata.schema)))
    return Table(
        "score_block",
        metadata,
        _owner(primary_key=True),
        Column("run_id", Uuid, primary_key=True),
        Column("first_month", Date, nullable=False),
        Column("months", SmallInteger, nullable=False),
        Column("records", LargeBinary, nullable=False, comment="services/portrait/rules/score_block.py"),
        comment="What a run found of a customer in all its months; read through the view score",
    )


def _peer_group(metadata: MetaData) -> Table:
    return Table(
        "score_peer_group",
        metadata,
        Column("run_id", Uuid, primary_key=True),
        Column("month", String(7), primary_key=True),
        Column("peer_group", String(8), primary_key=True),
        Column("peers", Integer, nullable=False),
        Column("withheld_because", String(40)),
        Column("scores", LargeBinary, nullable=False, comment="rising, in hundredths of 16 bits; empty where withheld"),
    )


def _document(metadata: MetaData) -> Table:
    return Table(
        "score_document",
        metadata,
        Column("kind", String(20), primary_key=True, comment="scheme or prices"),
        Column("version", String(20), primary_key=True),
        Column("scope_kind", String(10), nullable=False, comment="nation, province, company: the nearest wins"),
        Column("scope_id", String(64), nullable=False),
        Column("source", String(200), nullable=False, comment="document and number it was taken from"),
        Column("effective_from", Date, nullable=False),
        Column("effective_to", Date, comment="first day no longer in force; open if null"),
        Column("document", JSONB, nullable=False),
        Column("entered_by", String(64), nullable=False),
        Column("entered_at", _MOMENT, nullable=False),
        Column("confirmed_by", String(64), comment="another person; in force only then"),
        Column("confirmed_at", _MOMENT),
    )


def _shift(metadata: MetaData) -> Table:
    return Table(
        "customer_shift",
        metadata,
        _owner(primary_key=True),
        Column("effective_from", Date, primary_key=True),
        Column("shift", String(12), nullable=False),
        Column("shutdown_days", ARRAY(Date), nullable=False),
        Column("confirmed_by", String(64), nullable=False),
        Column("confirmed_at", _MOMENT, nullable=False),
    )


def _dispute(metadata: MetaData) -> Table:
    return Table(
        "score_dispute",
        metadata,
        Column("dispute_id", Uuid, primary_key=True),
        _owner(),
        Column("month", String(7), nullable=False),
        Column("run_id", Uuid, nullable=False),
        Column("ground", String(30), nullable=False),
        Column("evidence", JSONB, nullable=False, comment="as it was told"),
        Column("disputed_by", String(64), nullable=False),
        Column("disputed_at", _MOMENT, nullable=False),
    )
