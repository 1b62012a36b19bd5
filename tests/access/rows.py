"""Rows of two customers in every table of the services, made from the tables themselves."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import numpy as np
from sqlalchemy import ARRAY, CheckConstraint, Column, Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import Boolean, Date, DateTime, Float, Integer, LargeBinary, Numeric, String, Time, Uuid

from services.kernel.manifest import Service
from services.notify.conversation.words import HOUSE
from services.notify.delivery.endpoints import person_of
from services.notify.directory.vault import vault
from services.notify.templates.samples import TYPICAL, facts_of
from services.notify.templates.texts import templates
from services.portrait.metering.tables import CONTENT
from services.portrait.reference_data import shipped
from services.portrait.rules.day_block import QUALITIES, Slots
from services.portrait.rules.day_block import encode as encode_day
from services.portrait.rules.month_arrays import MeasuredArray
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.score_block import unmeasured
from services.portrait.rules.stored_indicators import encode

MINE, THEIRS = "C-1", "C-2"
MOMENT = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)


def id_of(name: str, customer_id: str) -> str:
    """The identifier that stands in every column `name` of this customer's rows; a UUID, as some routes want one."""
    return customer_id if name in {"customer_id", "owner_id"} else str(uuid5(NAMESPACE_URL, f"{name}|{customer_id}"))


def indicators_of(customer_id: str) -> bytes:
    """As portrait stores them; they differ between customers, so that they can be compared."""
    measured = np.array([0.4 if customer_id == MINE else 0.6])
    return encode({code: MeasuredArray(measured, np.zeros(1, np.uint8)) for code in SCORED}).tobytes()


def _records(customer_id: str) -> bytes:
    """A month with a score of 71.5 as portrait stores it."""
    record = unmeasured(customers=1, months=1)
    said = {"hundredths": 7_150, "scheme": 0, "band": ord("B"), "not_scored": 0, "shift": 1, "measured": 1}
    for name, value in {**said, "peer_group": b"C25"}.items():
        record[name] = value
    record["indicators"] = np.frombuffer(indicators_of(customer_id), np.uint8)
    return record.tobytes()


def _day(column: int) -> Callable[[str], bytes]:
    """A column of a day of 24 hours of 1 kWh, as portrait stores it."""
    slots = Slots.empty(blocks=1)
    slots.value[0, :24], slots.quality[0, :24] = 1_000, QUALITIES["measured"]
    [stored] = encode_day(slots=slots, step_minutes=np.array([60]))
    return lambda _: stored[column]


def _endpoint_key(customer_id: str) -> bytes:
    return vault().new_key(person_id=person_of(id_of("endpoint_id", customer_id)))[1]


_DEMO = shipped("score_scheme_demo")["version"]
FITTING: dict[str, Any] = {
    "inspection.hazard.status": "found",
    "inspection.hazard.grade": "serious",
    "inspection.hazard_step.step": "found",
    "outage.outage.status": "open",
    "outage.planned_outage.status": "published",
    "portrait.profile.body": '{"importance_grade": "none", "primary_class": "", "attention_reasons": [], '
    '"accounts": []}',
    "inspection.inspection_plan.reason": "cycle",
    "notify.delivery.event_class": "fault-outage",
    "notify.notice_proof.level": "call-recorded",
    "notify.privacy_request.kind": "correction",
    "notify.conversation.state": "open",
    "notify.conversation.topic": "other",
    "notify.conversation.channel": "app",
    "notify.conversation_message.kind": "photo",
    "notify.conversation_message.channel": "app",
    "notify.conversation_message.person_id": HOUSE,
    "notify.conversation_message.content_cipher": lambda _: vault().house_key().seal("cGhvdG8=", field="picture"),
    "notify.ticket.kind": "complaint",
    "notify.ticket.channel": "desk",
    "notify.delivery.facts": json.dumps(facts_of(templates()["fault-outage"].facts, TYPICAL)),
    "notify.delivery.language": "zh",
    "notify.delivery.state": "delivered",
    "portrait.customer.group_id": lambda customer_id: id_of("group_id", customer_id),
    "portrait.score_block.first_month": date(2026, 5, 1),
    "portrait.score_block.records": _records,
    "portrait.score_run.schemes": [f"{_DEMO}/general/one"],
    "portrait.score_run.month": "2026-05",
    "portrait.score_run.from_month": "2026-05",
    "portrait.score_run.published_at": MOMENT,
    "portrait.customer_shift.shift": "two",
    "portrait.month_facts.facts": b"",
    "portrait.monthly_usage.month": "2026-05",
    "notify.unit.name": "a unit of the house",
    "portrait.class_membership.because": "[]",
    "portrait.profile.explanation": '{"verdicts": [], "indicators": {}}',
    "portrait.account_terms.supply_nature": "industrial",
    "portrait.account_terms.tariff_type": "two-part",
    "portrait.account_terms.basic_charge_method": "capacity",
    "portrait.account_terms.purchase_mode": "agent",
    "portrait.account_terms.industry_class": "C3110",
    "portrait.account_terms.importance_grade": "none",
    "notify.delivery.channel": "inbox",
    "portrait.open_hazard.grade": "serious",
    "portrait.open_hazard.status": "found",
    "portrait.customer_outage.kind": "fault",
    "portrait.interval_block.step_minutes": 60,
    "portrait.interval_block.present": 24,
    **{f"portrait.interval_block.{name}": _day(n) for n, name in enumerate(CONTENT)},
    "notify.webhook_endpoint.wrapped_key": _endpoint_key,
}
"""What a column has to hold so that a route can show it; a function takes the customer."""


def value_of(column: Column[Any], customer_id: str) -> Any:
    kind = column.type
    if (word := FITTING.get(f"{column.table.fullname}.{column.name}")) is not None:
        return word(customer_id) if callable(word) else word
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


async def refill(admin: asyncpg.Connection, service: Service) -> None:
    """Put back what a test has taken away."""
    await admin.execute("SET session_replication_role = replica")
    for table in (t for t in service.own_tables if t.name in service.owned):
        owner = service.owned[table.name]
        for customer_id in (MINE, THEIRS):
            there = f'SELECT 1 FROM "{table.schema}"."{table.name}" WHERE "{owner}" = $1 LIMIT 1'
            if await admin.fetchval(there, customer_id) is None:
                await insert_row(admin, table, row_of(table, customer_id, owner=owner))
    await admin.execute("SET session_replication_role = origin")


async def _relax(admin: asyncpg.Connection, table: Table) -> None:
    """Checks of values are another test's matter; here the rows only have to be somebody's."""
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint) and constraint.name:
            await admin.execute(
                f'ALTER TABLE "{table.schema}"."{table.name}" DROP CONSTRAINT IF EXISTS "{constraint.name}"'
            )
