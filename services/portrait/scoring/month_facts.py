"""Facts of customers' months: what changed below has marked them stale (metering/month_marks.py), who needs them
refreshes them first."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.rules import month_facts as rule
from services.portrait.rules.day_block import CHANNELS, MISSING, slots_per_day
from services.portrait.scoring.customer_range import between

_ACTIVE, _LAGGING, _LEADING = CHANNELS["active-import"], CHANNELS["reactive-lagging"], CHANNELS["reactive-leading"]
AT_ONCE = 250
"""Customers of one month whose blocks are in memory together: about 100 MB with all their curves."""

_STALE = f"""
SELECT customer_id, month FROM {SCHEMA}.month_facts
WHERE {between("customer_id")} AND month >= $3 AND month < $4 AND stale
ORDER BY customer_id, month FOR UPDATE"""
_HELD = f"""
SELECT customer_id, usage_point_id, greatest(from_day, $2), least(coalesce(to_day, $3), $3)
FROM {SCHEMA}.usage_point_holder
WHERE customer_id = ANY ($1::text[]) AND from_day < $3 AND (to_day IS NULL OR to_day > $2)"""
_BLOCKS = f"""
SELECT DISTINCT ON (usage_point_id, channel, day) usage_point_id, channel, day, step_minutes, total, present,
  CASE WHEN channel = {_ACTIVE} THEN "values" END
FROM {SCHEMA}.interval_block
WHERE usage_point_id = ANY ($1::text[]) AND channel = ANY ('{{{_ACTIVE},{_LAGGING},{_LEADING}}}'::smallint[])
  AND day >= $2 AND day < $3
ORDER BY usage_point_id, channel, day, present::int * step_minutes DESC, step_minutes"""
_STAGE = f"""
CREATE TEMP TABLE IF NOT EXISTS fresh_facts ON COMMIT DELETE ROWS AS
SELECT customer_id, month, facts FROM {SCHEMA}.month_facts WITH NO DATA"""
_REPLACE = f"""
UPDATE {SCHEMA}.month_facts f SET facts = n.facts, stale = false
FROM pg_temp.fresh_facts n WHERE n.customer_id = f.customer_id AND n.month = f.month"""


async def refresh(
    connection: Connection, *, after_id: str, up_to_id: str | None, from_month: date, to_month: date
) -> int:
    """Bring the stale facts of (after_id, up_to_id] and [from_month, to_month) up to date; how many there were."""
    stale = await connection.fetch(_STALE, after_id, up_to_id, from_month, to_month)
    by_month: dict[date, list[str]] = {}
    for customer_id, month in stale:
        by_month.setdefault(month, []).append(customer_id)
    for month, customers in by_month.items():
        for start in range(0, len(customers), AT_ONCE):
            await _refresh_month(connection, month, customers[start : start + AT_ONCE])
    return len(stale)


async def _refresh_month(connection: Connection, month: date, customers: Sequence[str]) -> None:
    after = (month + timedelta(days=32)).replace(day=1)
    held = await connection.fetch(_HELD, customers, month, after)
    blocks = await connection.fetch(_BLOCKS, sorted({row[1] for row in held}), month, after)
    gathered = _gather(customers, held, blocks, month=month, days=(after - month).days)
    cells = _records(gathered, month)
    await write_facts(connection, [(c, month, cells[n]) for n, c in enumerate(customers)])


async def write_facts(connection: Connection, rows: Sequence[tuple[str, date, bytes]]) -> None:
    """Replace the facts of rows that exist."""
    await connection.execute(_STAGE)
    await connection.copy_records_to_table("fresh_facts", schema_name="pg_temp", records=rows)
    await connection.execute(_REPLACE)
    await connection.execute("DELETE FROM pg_temp.fresh_facts")


@dataclass(frozen=True, kw_only=True)
class _Gathered:
    """Rows of active blocks as arrays, and sums per customer; `points` (customers, days) are held on each day."""

    points: NDArray[np.int64]
    customer: NDArray[np.int64]
    day: NDArray[np.int64]
    step: NDArray[np.int64]
    values: Sequence[bytes]
    sums: rule.MonthSums


def _gather(
    customers: Sequence[str], held: Sequence[Any], blocks: Sequence[Any], *, month: date, days: int
) -> _Gathered:
    position = {customer: n for n, customer in enumerate(customers)}
    points = np.zeros((len(customers), days), np.int64)
    holders: dict[str, list[tuple[int, int, int]]] = {}
    for customer, point, from_day, to_day in held:
        begin, end = (from_day - month).days, (to_day - month).days
        points[position[customer], begin:end] += 1
        holders.setdefault(point, []).append((begin, end, position[customer]))
    place, sums = [], np.zeros((5, len(customers)), np.int64)
    for point, channel, day, step, total, present, values in blocks:
        number = (day - month).days
        for begin, end, customer in holders[point]:
            if begin <= number < end:
                if channel == _ACTIVE:
                    place.append((customer, number, step, values))
                    sums[0, customer] += total
                    sums[1, customer] += present * step
                else:
                    sums[2 if channel == _LAGGING else 3, customer] += total
                    sums[4, customer] = 1
    return _Gathered(
        points=points,
        customer=np.array([p[0] for p in place], np.int64),
        day=np.array([p[1] for p in place], np.int64),
        step=np.array([p[2] for p in place], np.int64),
        values=[p[3] for p in place],
        sums=rule.MonthSums(
            energy_wh=sums[0],
            minutes=sums[1],
            expected_minutes=points.sum(axis=1) * 1440,
            lagging_varh=sums[2],
            leading_varh=sums[3],
            reactive=sums[4].astype(bool),
        ),
    )


def _records(gathered: _Gathered, month: date) -> list[bytes]:
    """The stored bytes of each customer; empty where no active energy was reported."""
    count = len(gathered.points)
    longest = np.zeros(count, np.int64)
    np.maximum.at(longest, gathered.customer, gathered.step)
    cells = [b""] * count
    for step in np.unique(longest[longest > 0]).tolist():
        chosen = np.flatnonzero(longest == step)
        energy = _energy(gathered, chosen, step)
        sums = rule.MonthSums(
            **{name: getattr(gathered.sums, name)[chosen] for name in rule.MonthSums.__dataclass_fields__}
        )
        facts = rule.month_facts(month=month, step_minutes=step, energy_wh=energy, sums=sums)
        for place, cell in zip(chosen.tolist(), rule.encode(facts), strict=True):
            cells[place] = cell
    return cells


def _energy(gathered: _Gathered, chosen: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """(customers, days, slots): the sum of all usage points held that day, MISSING where one of them lacks it."""
    slots = slots_per_day(step_minutes=step)
    place = np.full(len(gathered.points), -1)
    place[chosen] = np.arange(len(chosen))
    total = np.zeros((len(chosen), gathered.points.shape[1], slots), np.int64)
    seen = np.zeros(total.shape, np.int16)
    for own in np.unique(gathered.step).tolist():
        rows = np.flatnonzero((gathered.step == own) & (place[gathered.customer] >= 0))
        if not len(rows):
            continue
        flat = np.frombuffer(b"".join([gathered.values[i] for i in rows.tolist()]), "<i4").astype(np.int64)
        parts = flat.reshape(len(rows), slots, step // own)
        whole = (parts != MISSING).all(axis=2)
        at = (place[gathered.customer[rows]], gathered.day[rows])
        np.add.at(total, at, np.where(whole, parts.sum(axis=2), 0))
        np.add.at(seen, at, whole)
    points = gathered.points[chosen][:, :, None]
    return np.where((seen == points) & (points > 0), total, MISSING)
