"""`score`: a row for each month of the stored blocks (rules/score_block.py), for everyone who reads scores in SQL."""

# ruff: noqa: S608 - the text is composed of constants of this package

from sqlalchemy import BigInteger, Boolean, Column, Float, LargeBinary, MetaData, String, Table, Uuid

from services.portrait.rules.score_block import RECORD
from services.portrait.rules.shift_pattern import SHIFTS
from services.portrait.rules.stored_indicators import STORED_REASONS


def score_view(*, schema: str) -> Table:
    """For queries; it stands beside the tables, which are what is created and migrated."""
    return Table(
        "score",
        MetaData(schema=schema),
        Column("customer_id", String(64), primary_key=True),
        Column("month", String(7), primary_key=True),
        Column("run_id", Uuid, primary_key=True),
        Column("score", Float),
        Column("band", String(1)),
        Column("previous_band", String(1)),
        Column("not_scored_because", String(40)),
        Column("scheme_version", String(40), nullable=False, comment="empty where nothing was used, as the shift"),
        Column("shift", String(12), nullable=False),
        Column("shift_confirmed", Boolean, nullable=False, comment="by the customer; else proposed from the curve"),
        Column("peer_group", String(8), nullable=False),
        Column("energy_wh", BigInteger, nullable=False),
        Column("indicators", LargeBinary, nullable=False, comment="services/portrait/rules/stored_indicators.py"),
    )


def view_statements(*, schema: str) -> list[str]:
    """SQL for the migrator, safe to repeat. Under `security_invoker` the policies of the tables hold for the reader.

    Columns may be appended; whoever renames or removes one drops the view in a revision first.
    """
    view = f'"{schema}".score'
    return [
        f"""
CREATE OR REPLACE VIEW {view} WITH (security_invoker = true) AS
SELECT b.customer_id, to_char(b.first_month + m.n * interval '1 month', 'YYYY-MM') AS month, b.run_id,
  CASE WHEN {_number("hundredths")} >= 0 THEN {_number("hundredths")}::float8 / 100 END AS score,
  CASE WHEN {_byte("band")} > 0 THEN chr({_byte("band")}) END AS band,
  CASE WHEN {_byte("previous_band")} > 0 THEN chr({_byte("previous_band")}) END AS previous_band,
  ({_texts(STORED_REASONS[1:])})[{_byte("not_scored")}] AS not_scored_because,
  coalesce(r.schemes[{_number("scheme")} + 1], '') AS scheme_version,
  coalesce(({_texts(SHIFTS)})[{_byte("shift")}], '') AS shift,
  {_byte("shift_confirmed")} = 1 AS shift_confirmed,
  convert_from(rtrim({_bytes("peer_group")}, '\\x00'::bytea), 'UTF8') AS peer_group,
  {_number("energy_wh")} AS energy_wh,
  CASE WHEN {_byte("measured")} = 1 THEN substring(m.record FROM {_offset("indicators") + 1}) ELSE ''::bytea END
    AS indicators
FROM "{schema}".score_block b JOIN "{schema}".score_run r USING (run_id)
CROSS JOIN LATERAL (
  SELECT n, substring(b.records FROM n * (length(b.records) / b.months) + 1 FOR length(b.records) / b.months) AS record
  FROM generate_series(0, b.months - 1) AS n) AS m""",
        f"GRANT SELECT ON {view} TO {schema}_api, {schema}_worker",
    ]


def _offset(field: str) -> int:
    return RECORD.fields[field][1]  # type: ignore[index]  # a structured type has fields


def _bytes(field: str) -> str:
    return f"substring(m.record FROM {_offset(field) + 1} FOR {RECORD[field].itemsize})"


def _byte(field: str) -> str:
    return f"get_byte(m.record, {_offset(field)})"


def _number(field: str) -> str:
    return f"{_bytes(field)}::{ {2: 'smallint', 8: 'bigint'}[RECORD[field].itemsize] }"


def _texts(names: tuple[str, ...]) -> str:
    return "ARRAY[" + ", ".join(f"'{name}'" for name in names) + "]"
