"""Tables beside the archive: search terms, saved filters, assignments made from them."""

from dataclasses import dataclass

from sqlalchemy import Column, Date, DateTime, Index, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

_MOMENT = DateTime(timezone=True)


@dataclass(frozen=True, kw_only=True)
class ArchiveTables:
    search_term: Table
    saved_filter: Table
    assignment: Table


def archive_tables(metadata: MetaData) -> ArchiveTables:
    term = Table(
        "search_term",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        Column("kind", String(20), primary_key=True),
        Column("term", String(400), primary_key=True),
    )
    # Compared by pattern, whatever the database's collation is.
    Index("ix_search_term_term", term.c.term, postgresql_ops={"term": "varchar_pattern_ops"})
    saved = Table(
        "saved_filter",
        metadata,
        Column("filter_id", String(64), primary_key=True),
        Column("name", String(80), nullable=False),
        Column("owned_by", String(64), nullable=False, index=True),
        Column("criteria", JSONB, nullable=False),
        Column("saved_at", _MOMENT, nullable=False),
    )
    assignment = Table(
        "assignment",
        metadata,
        Column("assignment_id", String(64), primary_key=True),
        Column("customer_id", String(64), nullable=False, index=True),
        Column("purpose", String(20), nullable=False),
        Column("assignee_person_id", String(64), nullable=False, index=True),
        Column("due_on", Date, nullable=False),
        Column("note", Text, nullable=False),
        Column("filter_id", String(64), nullable=False),
        Column("assigned_by", String(64), nullable=False),
        Column("assigned_at", _MOMENT, nullable=False),
        Column("done_at", _MOMENT),
        Column("outcome", Text),
    )
    return ArchiveTables(search_term=term, saved_filter=saved, assignment=assignment)


OWNED = ("search_term", "assignment")
