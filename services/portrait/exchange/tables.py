"""Tables of file imports: the file in parts, how far it was read, and every row that was not taken."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

_Moment = DateTime(timezone=True)


@dataclass(frozen=True, kw_only=True)
class ExchangeTables:
    import_file: Table
    import_part: Table
    import_error: Table


def exchange_tables(metadata: MetaData) -> ExchangeTables:
    file = Table(
        "import_file",
        metadata,
        Column("import_id", String(64), primary_key=True),
        Column("requested_by", String(128), nullable=False, index=True),
        Column("requested_at", _Moment, nullable=False),
        Column("file_name", String(200), nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("parts", Integer, nullable=False),
        Column("hints", JSONB, nullable=False),
        Column("file_format", String(10)),
        Column("state", String(12), nullable=False, comment="receiving, reading, refused or done"),
        Column("refused_field", String(40)),
        Column("refused_zh", Text),
        Column("refused_en", Text),
        Column("items_done", BigInteger, nullable=False, comment="readings and errors of the file dealt with"),
        Column("readings", BigInteger, nullable=False),
        Column("errors", BigInteger, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("last_row", BigInteger, nullable=False),
        Column("finished_at", _Moment),
    )
    Index("ix_import_file_open", file.c.requested_at, postgresql_where=file.c.state == "reading")
    part = Table(
        "import_part",
        metadata,
        Column("import_id", String(64), primary_key=True),
        Column("part", Integer, primary_key=True, autoincrement=False),
        Column("body", LargeBinary, nullable=False),
    )
    error = Table(
        "import_error",
        metadata,
        Column("import_id", String(64), primary_key=True),
        Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
        Column("row", BigInteger, nullable=False),
        Column("column", String(120), nullable=False),
        Column("text", String(200), nullable=False),
        Column("code", String(40), nullable=False),
    )
    return ExchangeTables(import_file=file, import_part=part, import_error=error)
