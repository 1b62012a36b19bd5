"""Reads of metering for the API; every query of customer rows filters by the caller's scope."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day
from services.portrait.metering import schemas
from services.portrait.metering.store import SCHEMA
from services.portrait.rules.day_block import CHANNELS, FROM_MEAN_POWER, MISSING, QUALITIES, slots_per_day
from services.portrait.rules.validation import marks_of

MOST_ROWS = 20_000
_NAMES = {code: name for name, code in CHANNELS.items()}
_QUALITIES = {code: name for name, code in QUALITIES.items() if name != "suspect"}
_DAYS = f"""
WITH expected AS (
  SELECT p.usage_point_id, c.channel, d::date AS day
  FROM unnest($1::text[], $2::date[], $3::date[]) AS p(usage_point_id, first, after)
  CROSS JOIN LATERAL (
    SELECT {CHANNELS["active-import"]}::smallint AS channel
    UNION SELECT DISTINCT b.channel FROM {SCHEMA}.interval_block b
    WHERE b.usage_point_id = p.usage_point_id AND b.day >= p.first - 31 AND b.day < p.after) AS c
  CROSS JOIN LATERAL generate_series(p.first, p.after - 1, interval '1 day') AS d),
best AS (
  SELECT DISTINCT ON (usage_point_id, channel, day) usage_point_id, channel, day, step_minutes, present, estimated
  FROM {SCHEMA}.interval_block WHERE usage_point_id = ANY ($1::text[]) AND day >= $4 AND day < $5
  ORDER BY usage_point_id, channel, day, present::int * step_minutes DESC, step_minutes)
SELECT e.usage_point_id, e.channel, e.day, b.step_minutes, b.present, b.estimated, m.suspect, g.method, g.scaled
FROM expected e LEFT JOIN best b USING (usage_point_id, channel, day)
LEFT JOIN {SCHEMA}.day_mark m USING (usage_point_id, channel, day, step_minutes)
LEFT JOIN {SCHEMA}.gap_estimate g USING (usage_point_id, channel, day)
ORDER BY 1, 2, 3"""


_SLOTS = f"""
SELECT b.usage_point_id, b.channel, b.step_minutes, b."values", b.quality, m.marks
FROM {SCHEMA}.interval_block b LEFT JOIN {SCHEMA}.day_mark m USING (usage_point_id, channel, day, step_minutes)
WHERE b.usage_point_id = ANY ($1::text[]) AND b.day = $2 ORDER BY 1, 2, 3"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Days [first, after) of a period on which the customer held the usage point."""

    usage_point_id: str
    first: date
    after: date


async def held_points(work: UnitOfWork, *, customer_id: str, first: date, after: date) -> list[Held]:
    h = t.usage_point_holder.c
    query = (
        select(h.usage_point_id, h.from_day, h.to_day)
        .where(
            h.customer_id == customer_id, h.from_day < after, h.to_day.is_(None) | (h.to_day > first),
            visible(h.customer_id, work=work),
        )
        .order_by(h.usage_point_id, h.from_day)
    )  # fmt: skip
    return [
        Held(
            usage_point_id=row.usage_point_id, first=max(row.from_day, first), after=min(row.to_day or after, after)
        )
        for row in await work.db.execute(query)
    ]  # fmt: skip


async def completeness(work: UnitOfWork, *, customer_id: str, from_day: date, to_day: date) -> schemas.Completeness:
    """Both days included; days of the future are not expected yet. Raises InvalidInput when there is too much."""
    after = min(to_day, local_day(work.now)) + timedelta(days=1)
    if to_day < from_day:
        raise InvalidInput(zh="结束日不能早于开始日。", en="to_day lies before from_day.", field="to_day")
    held = await held_points(work, customer_id=customer_id, first=from_day, after=after)
    if sum((p.after - p.first).days for p in held) * len(CHANNELS) > MOST_ROWS:
        raise InvalidInput(
            zh=f"结果超过 {MOST_ROWS} 行，请缩短期间。", en=f"More than {MOST_ROWS} rows; shorten the period.",
            field="to_day",
        )  # fmt: skip
    days = await _days(work, held, from_day, after)
    total = {name: sum(getattr(d, name) for d in days) for name in _COUNTS}
    return schemas.Completeness(customer_id=customer_id, from_day=from_day, to_day=to_day, days=days, **total)


_COUNTS = ("expected", "received", "estimated", "missing", "suspect")


async def _days(work: UnitOfWork, held: Sequence[Held], from_day: date, after: date) -> list[schemas.DayCompleteness]:
    columns = [list(c) for c in zip(*[(p.usage_point_id, p.first, p.after) for p in held], strict=True)]
    if not columns:
        return []
    rows = await (await work.raw()).fetch(_DAYS, *columns, from_day, after)
    steps: dict[tuple[str, int], int] = {}
    for row in rows:
        if row["step_minutes"]:
            steps.setdefault((row["usage_point_id"], row["channel"]), row["step_minutes"])
    days = []
    for row in rows:
        # A day without any reading is expected in the step of the point's other days.
        step = row["step_minutes"] or steps.get((row["usage_point_id"], row["channel"]), 15)
        present, estimated = row["present"] or 0, row["estimated"] or 0
        expected = slots_per_day(step_minutes=step)
        days.append(
            schemas.DayCompleteness(
                usage_point_id=row["usage_point_id"], channel=_NAMES[row["channel"]], day=row["day"],
                step_minutes=step, expected=expected, received=present - estimated, estimated=estimated,
                missing=expected - present, suspect=row["suspect"] or 0,
                estimate_method=row["method"] if estimated else None,
                estimate_scaled=row["scaled"] if estimated else None,
            )
        )  # fmt: skip
    return days


async def day_slots(work: UnitOfWork, *, customer_id: str, day: date) -> schemas.DaySlots:
    held = await held_points(work, customer_id=customer_id, first=day, after=day + timedelta(days=1))
    rows = await (await work.raw()).fetch(_SLOTS, [p.usage_point_id for p in held], day)
    return schemas.DaySlots(customer_id=customer_id, day=day, blocks=[_slots(row) for row in rows])


def _slots(row: Any) -> schemas.SlotsOfDay:
    values = np.frombuffer(row["values"], "<i4")
    codes = np.broadcast_to(np.frombuffer(row["quality"], np.uint8), values.shape) & ~np.uint8(FROM_MEAN_POWER)
    marks = np.frombuffer(row["marks"] or bytes(len(values)), np.uint8)
    there = (values != MISSING).tolist()
    return schemas.SlotsOfDay(
        usage_point_id=row["usage_point_id"],
        channel=_NAMES[row["channel"]],
        step_minutes=row["step_minutes"],
        energy=[wh if known else None for wh, known in zip(values.tolist(), there, strict=True)],
        quality=[_QUALITIES[code] if known else None for code, known in zip(codes.tolist(), there, strict=True)],
        marks=[marks_of(code) for code in marks.tolist()],
    )
