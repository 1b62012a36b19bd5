"""Rows of two customers in every table of the services, made from the tables themselves."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
from sqlalchemy import ARRAY, CheckConstraint, Column, Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import Boolean, Date, DateTime, Float, Integer, LargeBinary, Numeric, String, Time, Uuid

from services.kernel.manifest import Service

MINE, THEIRS = "C-1", "C-2"
MOMENT = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)


def id_of(name: str, customer_id: str) -> str:
    """The identifier that stands in every column `name` of this customer's rows; a UUID, as some routes want one."""
    return customer_id if name in {"customer_id", "owner_id"} else str(uuid5(NAMESPACE_URL, f"{name}|{customer_id}"))


FITTING: dict[str, Any] = {
    "inspection.hazard.status": "found",
    "inspection.hazard.grade": "serious",
    "inspection.hazard_step.step": "found",
    "outage.outage.status": "open",
    "portrait.profile.body": '{"importance_grade": "none", "primary_class": "", "attention_reasons": [], '
    '"accounts": []}',
    "notify.delivery.event_class": "fault-outage",
    "notify.notice_proof.level": "call-recorded",
    "notify.ticket.kind": "complaint",
    "notify.ticket.channel": "desk",
}
"""Words that a column takes from a closed list, where a route shows them."""


def value_of(column: Column[Any], customer_id: str) -> Any:
    kind = column.type
    if (word := FITTING.get(f"{column.table.fullname}.{column.name}")) is not None:
        return word
    if isinstance(kind, Uuid):
        return UUID(id_of(column.name, customer_id)) if column.name != "customer_id" else None
    if isinstance(kind, ARRAY):
        return []
    if isinstance(kind, JSONB):
        return "{}"
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, LargeBinary):
        return id_of(column.name, customer_id).encode()
    if isinstance(kind, String):
        if column.name.endswith("_id"):
            return id_of(column.name, customer_id)
        return f"{customer_id}{column.name}"[: kind.length or 60]
    return _plain_of(kind)


def _plain_of(kind: Any) -> Any:
    for type_, value in (
        (DateTime, MOMENT), (Date, date(2026, 6, 15)), (Time, time(8)), (Integer, 1), (Float, 1.0),
        (Numeric, Decimal(1)),
    ):  # fmt: skip
        if isinstance(kind, type_):
            return value
    raise NotImplementedError(f"rows.py makes no value of {kind!r} yet: add it")


def row_of(table: Table, customer_id: str, *, owner: str | None) -> dict[str, Any]:
    """Every column that must be given, and the one that names the owner where there is one."""
    row = {
        c.name: value_of(c, customer_id)
        for c in table.columns
        if f"{table.fullname}.{c.name}" in FITTING
        or (not c.nullable and c.server_default is None and c.identity is None and c.computed is None)
    }
    return row if owner is None else row | {owner: customer_id}


async def insert_row(connection: asyncpg.Connection, table: Table, row: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f'INSERT INTO "{table.schema}"."{table.name}" ({names}) VALUES ({places})', *row.values())


PARTITIONS = {"interval_block": "SELECT portrait.ensure_interval_month('2026-06-15')"}
"""What makes the partition of `MOMENT`, for owned tables that are partitioned."""


async def fill(admin: asyncpg.Connection, service: Service) -> None:
    """One row for each of the two customers in every table; references between tables are not checked here."""
    await admin.execute("SET session_replication_role = replica")
    named = [t for t in service.own_tables if t.name in service.owned or any(c.name.endswith("_id") for c in t.columns)]
    for table in named:
        await _relax(admin, table)
        if table.name in PARTITIONS:
            await admin.execute(PARTITIONS[table.name])
        for customer_id in (MINE, THEIRS):
            await insert_row(admin, table, row_of(table, customer_id, owner=service.owned.get(table.name)))
    await admin.execute("SET session_replication_role = origin")


async def _relax(admin: asyncpg.Connection, table: Table) -> None:
    """Checks of values are another test's matter; here the rows only have to be somebody's."""
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint) and constraint.name:
            await admin.execute(
                f'ALTER TABLE "{table.schema}"."{table.name}" DROP CONSTRAINT IF EXISTS "{constraint.name}"'
            )
