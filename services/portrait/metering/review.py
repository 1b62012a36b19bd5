"""Looks at days that changed: marks suspect slots, revises closed months. Done after the fact, off the hot path."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import select

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_name, month_start
from services.portrait.metering.changes import Day, take_changed
from services.portrait.metering.closing import revise_month
from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.rules.validation import ValidationLimits, slot_marks

MOST_DAYS = 5_000
_BLOCKS = f"""
SELECT b.usage_point_id, b.channel, b.day, b.step_minutes, b.customer_id, b.values, b.quality,
  (SELECT a.contract_capacity_kva::float8 FROM {SCHEMA}.usage_point p
   JOIN {SCHEMA}.account_terms a ON a.account_id = p.account_id
   WHERE p.usage_point_id = b.usage_point_id AND a.valid_from <= b.day AND (a.valid_to IS NULL OR b.day < a.valid_to)
   LIMIT 1) AS capacity_kva
FROM unnest($1::text[], $2::date[]) AS k(usage_point_id, day)
JOIN {SCHEMA}.interval_block b USING (usage_point_id, day) WHERE b.day BETWEEN $3 AND $4"""
_FORGET = f"""
DELETE FROM {SCHEMA}.day_mark m USING unnest($1::text[], $2::date[]) AS k(usage_point_id, day)
WHERE m.usage_point_id = k.usage_point_id AND m.day = k.day"""
_MARK = f"""
INSERT INTO {SCHEMA}.day_mark
  (usage_point_id, channel, day, step_minutes, customer_id, marks, suspect, marked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
_FOLLOW = f"""
UPDATE {SCHEMA}.gap_estimate e SET customer_id = h.customer_id
FROM unnest($1::text[], $2::date[]) AS k(usage_point_id, day) JOIN {SCHEMA}.usage_point_holder h
  ON h.usage_point_id = k.usage_point_id AND h.from_day <= k.day AND (h.to_day IS NULL OR k.day < h.to_day)
WHERE e.usage_point_id = k.usage_point_id AND e.day = k.day AND e.customer_id IS DISTINCT FROM h.customer_id"""
_HOLDERS = f"""
SELECT DISTINCT h.customer_id, k.usage_point_id, k.day
FROM unnest($1::text[], $2::date[], $3::text[]) AS k(usage_point_id, day, reached)
JOIN {SCHEMA}.usage_point_holder h
  ON h.usage_point_id = k.usage_point_id AND h.from_day <= k.day AND (h.to_day IS NULL OR k.day < h.to_day)
WHERE k.reached IS NULL OR h.customer_id <= k.reached ORDER BY 1, 2, 3"""


async def review_changes(work: UnitOfWork) -> list[Day]:
    """The days that were looked at; none when nothing waits."""
    days = await take_changed(work, most=MOST_DAYS)
    if days:
        await mark_days(await work.raw(), days=days, now=work.now)
        await _revise_closed_months(work, days)
    return days


async def holders_this_month(work: UnitOfWork, *, days: Sequence[Day]) -> list[str]:
    """Customers whose current month these days belong to."""
    first = local_day(work.now).replace(day=1)
    recent = [(point, day) for point, day in days if day >= first]
    if not recent:
        return []
    points, dates = [list(column) for column in zip(*recent, strict=True)]
    rows = await (await work.raw()).fetch(_HOLDERS, points, dates, [None] * len(points))
    return sorted({row["customer_id"] for row in rows})


async def mark_days(connection: Connection, *, days: Sequence[Day], now: Any) -> int:
    """Write the marks of these days anew; how many blocks are suspect."""
    points, dates = [list(column) for column in zip(*days, strict=True)]
    found = await connection.fetch(_BLOCKS, points, dates, min(dates), max(dates))
    by_step: dict[int, list[Any]] = defaultdict(list)
    for row in found:
        by_step[row["step_minutes"]].append(row)
    suspect: list[tuple[Any, ...]] = []
    for step, rows in sorted(by_step.items()):
        suspect.extend(_suspect(rows, step, now))
    await connection.execute(_FORGET, points, dates)
    await connection.executemany(_MARK, suspect)
    await connection.execute(_FOLLOW, points, dates)
    return len(suspect)


def _suspect(rows: Sequence[Any], step: int, now: Any) -> list[tuple[Any, ...]]:
    energy = np.frombuffer(b"".join(row["values"] for row in rows), "<i4").reshape(len(rows), -1).astype(np.int64)
    slots = energy.shape[1]
    quality = np.stack([np.broadcast_to(np.frombuffer(row["quality"], np.uint8), slots) for row in rows])
    capacity = np.array([np.nan if row["capacity_kva"] is None else row["capacity_kva"] for row in rows], np.float64)
    marks = slot_marks(
        energy=energy, quality=quality, step_minutes=step, capacity_kva=capacity, limits=ValidationLimits()
    )
    number = (marks > 0).sum(axis=1).tolist()
    return [
        (r["usage_point_id"], r["channel"], r["day"], step, r["customer_id"], marks[i].tobytes(), number[i], now)
        for i, r in enumerate(rows)
        if number[i]
    ]


async def _revise_closed_months(work: UnitOfWork, days: Sequence[Day]) -> None:
    """Customers that a close under way has not reached yet are left to it."""
    c = t.month_close
    months = sorted({month_name(day) for _, day in days})
    rows = await work.db.execute(select(c).where(c.c.month.in_(months)).order_by(c.c.month).with_for_update(read=True))
    closes = {row.month: row for row in rows}
    late = [(point, day) for point, day in days if month_name(day) in closes]
    if not late:
        return
    changed: dict[tuple[str, str], list[Day]] = defaultdict(list)
    points, dates = [list(column) for column in zip(*late, strict=True)]
    reached = [None if closes[month_name(d)].finished_at else closes[month_name(d)].done_up_to for d in dates]
    for customer_id, point, day in await (await work.raw()).fetch(_HOLDERS, points, dates, reached):
        changed[customer_id, month_name(day)].append((point, day))
    for (customer_id, month), its_days in sorted(changed.items()):
        await revise_month(work, customer_id=customer_id, first=month_start(month), looked_at=_told(its_days))


def _told(days: Sequence[tuple[str, date]]) -> dict[str, Any]:
    return {
        "usage_point_ids": sorted({point for point, _ in days}),
        "days": sorted({day.isoformat() for _, day in days}),
    }
