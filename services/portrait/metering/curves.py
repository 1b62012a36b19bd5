"""Reads of interval data. Where a day was reported in several steps, the block that covers most of it counts,
and of equal ones the finer."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.rules.day_block import MISSING, slots_per_day
from services.portrait.rules.load_indicators import Curve

_BEST = f"""
SELECT DISTINCT ON (usage_point_id, channel, day) usage_point_id, channel, day, step_minutes, total, present, "values"
FROM {SCHEMA}.interval_block
WHERE usage_point_id = ANY ($1::text[]) AND channel = ANY ($2::smallint[]) AND day >= $3 AND day < $4
ORDER BY usage_point_id, channel, day, present::int * step_minutes DESC, step_minutes"""
_MONTHS = f"""
SELECT usage_point_id, channel, date_trunc('month', day)::date AS month,
  sum(total)::bigint AS total, sum(present::int * step_minutes)::bigint AS minutes
FROM ({_BEST}) AS best GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthTotal:
    """Energy of a month in Wh or varh, and the minutes of it that were reported."""

    usage_point_id: str
    channel: int
    month: date
    total: int
    minutes: int


async def month_totals(
    connection: Connection, *, usage_point_ids: Sequence[str], channels: Sequence[int], from_day: date, to_day: date
) -> list[MonthTotal]:
    """Sums of the days in [from_day, to_day), by month, from the rollups alone."""
    rows = await connection.fetch(_MONTHS, list(usage_point_ids), list(channels), from_day, to_day)
    return [MonthTotal(**dict(row)) for row in rows]


async def read_curves(
    connection: Connection, *, usage_point_ids: Sequence[str], channel: int, from_day: date, to_day: date
) -> dict[str, Curve]:
    """One curve per usage point that has data, a row for each day of [from_day, to_day), MISSING where unreported.

    Its step is the longest of those that occur: shorter ones are summed up to it.
    """
    rows = await connection.fetch(_BEST, list(usage_point_ids), [channel], from_day, to_day)
    by_point: dict[str, list[Any]] = {}
    for row in rows:
        by_point.setdefault(row["usage_point_id"], []).append(row)
    return {point: _curve(found, from_day=from_day, days=(to_day - from_day).days) for point, found in by_point.items()}


def _curve(rows: Sequence[Any], *, from_day: date, days: int) -> Curve:
    step = max(row["step_minutes"] for row in rows)
    energy = np.full((days, slots_per_day(step_minutes=step)), MISSING, np.int64)
    for row in rows:
        day = np.frombuffer(row["values"], "<i4").astype(np.int64)
        energy[(row["day"] - from_day).days] = _summed(day, parts=step // row["step_minutes"])
    return Curve(energy_wh=energy, step_minutes=step)


def _summed(day: NDArray[np.int64], *, parts: int) -> NDArray[np.int64]:
    groups = day.reshape(-1, parts)
    whole = np.not_equal(groups, MISSING).all(axis=1)
    return np.where(whole, groups.sum(axis=1), MISSING)


def sum_of_curves(*, curves: Sequence[Curve]) -> Curve:
    """The load of a customer with several usage points; an interval that one of them lacks is MISSING.

    Raises ValueError when the curves differ in days; of their steps the longest is used.
    """
    step = max(curve.step_minutes for curve in curves)
    total = np.zeros_like(curves[0].energy_wh, shape=(len(curves[0].energy_wh), slots_per_day(step_minutes=step)))
    complete = np.ones(total.shape, bool)
    for curve in curves:
        if len(curve.energy_wh) != len(total):
            raise ValueError("the curves cover different days; read them for one period")
        energy = _summed(curve.energy_wh.reshape(-1), parts=step // curve.step_minutes).reshape(total.shape)
        complete &= np.not_equal(energy, MISSING)
        total += np.where(energy == MISSING, 0, energy)
    return Curve(energy_wh=np.where(complete, total, MISSING), step_minutes=step)
