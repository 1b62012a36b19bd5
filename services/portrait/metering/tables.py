"""Tables of interval data: day blocks partitioned by month, and who held a usage point when (docs/adr/0002)."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

from services.portrait.rules.day_block import FIELDS

KEY = ("usage_point_id", "channel", "day", "step_minutes")
CONTENT = ("values", *[name for name, _ in FIELDS[1:]])
ROLLUPS = ("total", "maximum", "maximum_slot", "minimum", "minimum_slot", "present", "estimated")
_WIDE_ROLLUPS = {"total", "maximum", "minimum"}


@dataclass(frozen=True, kw_only=True)
class IntervalTables:
    interval_block: Table
    usage_point_holder: Table
    month_facts: Table


def interval_tables(metadata: MetaData) -> IntervalTables:
    """Both tables name their customer in `customer_id`, which is null in a block of a usage point not known yet.

    Months are created by `ensure_interval_month`, a function of the migrator that the worker may call, because the
    worker has no right to create tables and a default partition would have to be scanned at every new month. The
    function is handed to the migration as `metadata.info["after_migration"]`. It attaches a finished table, which
    locks out no writer of the other months.
    """
    schema = metadata.schema or "public"
    block = Table(
        "interval_block",
        metadata,
        _identifier("usage_point_id", primary_key=True),
        Column("channel", SmallInteger, primary_key=True, autoincrement=False),
        Column("day", Date, primary_key=True),
        Column("step_minutes", SmallInteger, primary_key=True, autoincrement=False),
        Column("customer_id", String(64), nullable=True),
        *[Column(name, LargeBinary, nullable=False) for name in CONTENT],
        *[Column(name, BigInteger if name in _WIDE_ROLLUPS else SmallInteger, nullable=False) for name in ROLLUPS],
        postgresql_partition_by="RANGE (day)",
        comment="Energy of one usage point, channel and local day in Wh or varh; services/portrait/rules/day_block.py",
    )
    Index("ix_interval_block_orphan", block.c.usage_point_id, postgresql_where=text("customer_id IS NULL"))
    holder = Table(
        "usage_point_holder",
        metadata,
        _identifier("usage_point_id", primary_key=True),
        Column("from_day", Date, primary_key=True),
        Column("to_day", Date, nullable=True, comment="first day no longer held; open if null"),
        Column("customer_id", String(64), nullable=False, index=True),
    )
    metadata.info.setdefault("after_migration", []).extend(partition_statements(schema=schema))
    return IntervalTables(interval_block=block, usage_point_holder=holder, month_facts=_month_facts(metadata))


def _month_facts(metadata: MetaData) -> Table:
    table = Table(
        "month_facts",
        metadata,
        Column("customer_id", String(64), primary_key=True),
        Column("month", Date, primary_key=True),
        Column("stale", Boolean, nullable=False, comment="blocks or holders changed since"),
        Column("facts", LargeBinary, nullable=False, comment="services/portrait/rules/month_facts.py; empty: no data"),
        comment="What the day blocks of a month leave for its indicators; refreshed before it is used",
    )
    Index("ix_month_facts_stale", table.c.customer_id, table.c.month, postgresql_where=text("stale"))
    return table


def _identifier(name: str, *, primary_key: bool) -> Column[str]:
    # Collated "C", so that the database sorts keys, and so takes locks, as Python sorts them.
    return Column(name, String(64, collation="C"), primary_key=primary_key)


def partition_statements(*, schema: str) -> list[str]:
    """SQL for the migrator, one statement each, safe to repeat."""
    function = f'"{schema}".ensure_interval_month(date)'
    return [
        f"""
CREATE OR REPLACE FUNCTION "{schema}".ensure_interval_month(any_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  first date := date_trunc('month', any_day)::date;
  child text := 'interval_block_' || to_char(any_day, 'YYYYMM');
BEGIN
  IF to_regclass(format('%I.%I', '{schema}', child)) IS NOT NULL THEN RETURN; END IF;
  IF any_day NOT BETWEEN '1990-01-01' AND '2100-12-31' THEN
    RAISE EXCEPTION 'day % lies outside 1990..2100', any_day USING ERRCODE = 'datetime_field_overflow';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('{schema}.interval_block'));
  -- Asked of the catalog, not of to_regclass, whose cache may not know yet what the lock's last holder made.
  PERFORM 1 FROM pg_class WHERE relname = child AND relnamespace = '{schema}'::regnamespace;
  IF FOUND THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE %1$I.%2$I (LIKE %1$I.interval_block INCLUDING ALL EXCLUDING INDEXES)',
    '{schema}', child);
  EXECUTE format('ALTER TABLE %1$I.%2$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', '{schema}', child);
  EXECUTE format('ALTER TABLE %1$I.interval_block ATTACH PARTITION %1$I.%2$I FOR VALUES FROM (%3$L) TO (%4$L)',
    '{schema}', child, first, (first + interval '1 month')::date);
END $$""",
        f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {function} TO {schema}_worker",
    ]
