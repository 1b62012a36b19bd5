"""The month close: a dated act. What changes a closed month later becomes a new revision that is told."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update

from services.kernel.errors import Conflict, InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_start, shifted
from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.metering.usage import record_month
from services.portrait.rules.day_block import CHANNELS

CHUNK = 200
_USAGE = f"""
WITH held AS (
  SELECT customer_id, usage_point_id, greatest(from_day, $2) AS first, least(coalesce(to_day, $3), $3) AS after
  FROM {SCHEMA}.usage_point_holder
  WHERE customer_id = ANY ($1::text[]) AND from_day < $3 AND (to_day IS NULL OR to_day > $2)),
best AS (
  SELECT DISTINCT ON (h.customer_id, b.usage_point_id, b.day)
    h.customer_id, b.total, b.present::int * b.step_minutes AS minutes
  FROM held h JOIN {SCHEMA}.interval_block b ON b.usage_point_id = h.usage_point_id AND b.channel = $4
    AND b.day >= h.first AND b.day < h.after
  WHERE b.day >= $2 AND b.day < $3
  ORDER BY h.customer_id, b.usage_point_id, b.day, b.present::int * b.step_minutes DESC, b.step_minutes)
SELECT h.customer_id, sum(h.after - h.first)::bigint * 1440 AS expected,
  (SELECT coalesce(sum(total), 0)::bigint FROM best WHERE best.customer_id = h.customer_id) AS total,
  (SELECT coalesce(sum(minutes), 0)::bigint FROM best WHERE best.customer_id = h.customer_id) AS minutes
FROM held h GROUP BY h.customer_id ORDER BY h.customer_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthUsage:
    """Active import of the days on which the customer held its usage points."""

    customer_id: str
    energy_wh: int
    completeness: float


async def month_usage(connection: Connection, *, customer_ids: Sequence[str], first: date) -> list[MonthUsage]:
    """Customers that held a usage point in the month which begins on `first`."""
    rows = await connection.fetch(
        _USAGE, list(customer_ids), first, shifted(first, months=1), CHANNELS["active-import"]
    )
    return [
        MonthUsage(
            customer_id=row["customer_id"], energy_wh=row["total"],
            completeness=min(1.0, row["minutes"] / row["expected"]),
        )
        for row in rows
        if row["minutes"]
    ]  # fmt: skip


async def close_month(work: UnitOfWork, *, month: str) -> None:
    """Raises Conflict for a month closed before, InvalidInput for one that has not ended."""
    if shifted(month_start(month), months=1) > local_day(work.now):
        raise InvalidInput(
            zh=f"{month} 尚未结束，不能关账。", en=f"{month} has not ended; close it afterwards.", field="month"
        )
    c = t.month_close
    if (await work.db.execute(select(c).where(c.c.month == month))).first() is not None:
        raise Conflict(
            zh=f"{month} 已关账；后续变化自动生成新修订。",
            en=f"{month} is closed already; later changes become revisions by themselves.",
            field="month",
        )
    await work.db.execute(
        insert(c).values(month=month, closed_at=work.now, closed_by=work.actor.person_id, done_up_to="")
    )
    await work.audit(action="month-closed", object_type="month", object_id=month)


async def open_closes(work: UnitOfWork) -> list[str]:
    c = t.month_close.c
    found = await work.db.execute(select(c.month).where(c.finished_at.is_(None)).order_by(c.month))
    return list(found.scalars())


async def close_chunk(work: UnitOfWork, *, month: str) -> bool:
    """Record the month of the next customers; False when all are done."""
    c, customer = t.month_close.c, t.customer.c.customer_id
    # Locked from the start, so that who revises a customer meanwhile knows whether this chunk has it.
    done = (await work.db.execute(select(c.done_up_to).where(c.month == month).with_for_update())).scalar_one()
    query = select(customer).where(customer > done).order_by(customer).limit(CHUNK).with_for_update()
    ids = list((await work.db.execute(query)).scalars())
    progress: dict[str, Any] = {"done_up_to": ids[-1]} if ids else {"finished_at": work.now}
    for usage in await month_usage(await work.raw(), customer_ids=ids, first=month_start(month)):
        await record_month(
            work, customer_id=usage.customer_id, first=month_start(month), energy_wh=usage.energy_wh,
            completeness=usage.completeness, reason="month-close",
        )  # fmt: skip
    await work.db.execute(update(t.month_close).where(c.month == month).values(**progress))
    return bool(ids)


async def revise_month(work: UnitOfWork, *, customer_id: str, first: date, looked_at: dict[str, Any]) -> bool:
    """A new revision of a closed month if its figures differ now from what was told last."""
    locked = await work.db.execute(select(t.customer).where(t.customer.c.customer_id == customer_id).with_for_update())
    if locked.first() is None:
        return False
    told = False
    for usage in await month_usage(await work.raw(), customer_ids=[customer_id], first=first):
        told = await record_month(
            work, customer_id=customer_id, first=first, energy_wh=usage.energy_wh, completeness=usage.completeness,
            reason="late-data", looked_at=looked_at,
        )  # fmt: skip
    return told
