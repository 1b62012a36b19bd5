"""Fills gaps of days that are over for good: the estimate is stored as such and yields to any value a source sends."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kernel.work import UnitOfWork
from services.portrait.customers.calendar import local_day
from services.portrait.metering.changes import note_changed
from services.portrait.metering.registers import (
    PointRegisters,
    channel_energy,
    midnight,
    midnights_of,
    point_registers,
)
from services.portrait.metering.store import SCHEMA, Connection, store_blocks
from services.portrait.reference_data import working_calendar
from services.portrait.rules.day_block import (
    CHANNELS,
    FROM_MEAN_POWER,
    MISSING,
    QUALITIES,
    WIDTH,
    BlockKey,
    Slots,
    slots_per_day,
)
from services.portrait.rules.gap_estimate import METHODS, GapEstimate, RegisterSpan, estimate_gaps
from services.portrait.rules.merge import OfferBatch

CHUNK = 50
WAIT_DAYS, FILL_DAYS, LEARN_DAYS = 2, 35, 70
"""A day is waited for so long; filled up to so long ago; and learnt from so far back. Proposals of this project."""
LONGEST_SILENCE_DAYS = 7
"""Whole days without any reading are filled up to this many in a row; longer only when the registers cover them."""
ESTIMATED_HERE = QUALITIES["estimated"] | FROM_MEAN_POWER
"""Lowest of the stored qualities. Its source time is in seconds, so it lies before that of any source, and a later
estimate before it: real values win, also those that the source itself estimated."""
_NAMES = {code: name for name, code in CHANNELS.items()}
_METHOD_NAMES = {code: name for name, code in METHODS.items()}
_POINTS = f"""
SELECT DISTINCT usage_point_id FROM {SCHEMA}.usage_point_holder WHERE usage_point_id > $1 ORDER BY 1 LIMIT $2"""
_PRESENT = f"""
SELECT usage_point_id, channel, day, step_minutes, present FROM {SCHEMA}.interval_block
WHERE usage_point_id = ANY ($1::text[]) AND day >= $2 AND day < $3"""
_VALUES = f"""
SELECT day, "values" FROM {SCHEMA}.interval_block
WHERE usage_point_id = $1 AND channel = $2 AND step_minutes = $3 AND day >= $4 AND day < $5"""
_NOTE = f"""
INSERT INTO {SCHEMA}.gap_estimate
  (usage_point_id, channel, day, customer_id, slots, energy, method, scaled, estimated_at)
VALUES ($1::text, $2, $3::date, (SELECT h.customer_id FROM {SCHEMA}.usage_point_holder h
  WHERE h.usage_point_id = $1::text AND h.from_day <= $3::date AND (h.to_day IS NULL OR $3::date < h.to_day)
  LIMIT 1), $4, $5, $6, $7, $8)
ON CONFLICT (usage_point_id, channel, day) DO UPDATE SET customer_id = excluded.customer_id, slots = excluded.slots,
  energy = excluded.energy, method = excluded.method, scaled = excluded.scaled, estimated_at = excluded.estimated_at"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Days [first, after) are learnt from, those of [fill_from, fill_to) are filled."""

    first: date
    after: date
    fill_from: date
    fill_to: date

    def index(self, day: date) -> int:
        return (day - self.first).days

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.after - self.first).days)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """What is filled: one channel of one usage point in one step. Days that came in another step are left alone."""

    point: str
    channel: int
    step: int
    window: _Window
    other_step_days: frozenset[date]


async def estimate_next(work: UnitOfWork, *, after: str) -> str | None:
    """Estimate the gaps of the next usage points; the last one done, None when there are no more."""
    connection: Connection = await work.raw()
    points: list[str] = [row[0] for row in await connection.fetch(_POINTS, after, CHUNK)]
    if not points:
        return None
    today = local_day(work.now)
    window = _Window(
        first=today - timedelta(days=LEARN_DAYS), after=today, fill_from=today - timedelta(days=FILL_DAYS),
        fill_to=today - timedelta(days=WAIT_DAYS),
    )  # fmt: skip
    gaps = await _with_gaps(connection, points, window)
    registers = await point_registers(
        work, usage_point_ids=sorted({series.point for series in gaps}), start=midnight(window.first),
        end=midnight(window.after),
    )  # fmt: skip
    for series in gaps:
        await _fill(work, connection, series, registers.get(series.point, PointRegisters()))
    return points[-1]


async def _with_gaps(connection: Connection, points: Sequence[str], window: _Window) -> list[_Series]:
    """Where days to fill lack a slot, from the rollups alone.

    Of several steps the one of most days is filled; before its first day nothing is missing.
    """
    found: dict[tuple[str, int], dict[int, dict[date, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in await connection.fetch(_PRESENT, points, window.first, window.after):
        found[row["usage_point_id"], row["channel"]][row["step_minutes"]][row["day"]] = row["present"]
    gaps = []
    for (point, channel), by_step in sorted(found.items()):
        step = max(by_step, key=lambda s: (len(by_step[s]), -s))
        full = {day for s, days in by_step.items() for day, n in days.items() if n * s == 1440}
        begin = max(window.fill_from, min(by_step[step]))
        wanted = {begin + timedelta(days=n) for n in range((window.fill_to - begin).days)}
        if wanted - full:
            others = frozenset(day for s, days in by_step.items() if s != step for day in days)
            gaps.append(_Series(point=point, channel=channel, step=step, window=window, other_step_days=others))
    return gaps


async def _fill(work: UnitOfWork, connection: Connection, series: _Series, registers: PointRegisters) -> None:
    window = series.window
    rows = await connection.fetch(_VALUES, series.point, series.channel, series.step, window.first, window.after)
    energy = np.full((len(window.days), slots_per_day(step_minutes=series.step)), MISSING, np.int64)
    for row in rows:
        energy[window.index(row["day"])] = np.frombuffer(row["values"], "<i4")
    spans = _spans(registers, series.channel, window)
    calendar = working_calendar()
    found = estimate_gaps(
        energy=energy, weekday=np.array([day.weekday() for day in window.days]),
        kind=np.array([calendar.is_working_day(day) for day in window.days], np.int64),
        wanted=_wanted(energy, series, spans), spans=spans,
    )  # fmt: skip
    if (found.values != MISSING).any():
        stored = await store_blocks(connection, _offers(series, found, second=int(work.now.timestamp())))
        await note_changed(work, keys=stored.changed)
        await connection.executemany(_NOTE, _notes(series, found, now=work.now))


def _spans(registers: PointRegisters, channel: int, window: _Window) -> list[RegisterSpan]:
    """What the registers give between every two midnights at which they were frozen."""
    name = _NAMES[channel]
    days = [day for day in midnights_of(registers, channel=name) if window.first <= day <= window.after]
    spans = []
    for first, after in pairwise(days):
        wh, _ = channel_energy(registers, channel=name, start=midnight(first), end=midnight(after))
        if wh is not None:
            spans.append(RegisterSpan(first=window.index(first), after=window.index(after), wh=wh))
    return spans


def _wanted(energy: NDArray[np.int64], series: _Series, spans: Sequence[RegisterSpan]) -> NDArray[np.bool_]:
    window, days = series.window, np.array(series.window.days)
    heard = (energy != MISSING).any(axis=1)
    begin = int(heard.argmax())
    wanted = (days >= window.fill_from) & (days < window.fill_to) & (np.arange(len(days)) >= begin)
    wanted &= np.array([day not in series.other_step_days for day in window.days])
    covered = np.zeros(len(days), bool)
    for span in spans:
        covered[span.first : span.after] = True
    silent = 0
    for day in range(len(days)):
        silent = 0 if heard[day] else silent + 1
        if silent > LONGEST_SILENCE_DAYS:
            run = slice(day - silent + 1, day + 1)
            wanted[run] &= covered[run]
    return np.asarray(wanted, bool)


def _offers(series: _Series, found: GapEstimate, *, second: int) -> OfferBatch:
    made = found.values != MISSING
    rows, slots = np.nonzero(made)
    chosen = np.unique(rows)
    keys = [BlockKey(series.point, series.channel, series.window.days[row], series.step) for row in chosen.tolist()]
    count = len(rows)
    offers = Slots(
        value=found.values[made].astype(np.int32),
        quality=np.full(count, ESTIMATED_HERE, np.uint8),
        revision=np.zeros(count, np.int32),
        source_time_us=np.full(count, second, np.int64),
        tie=np.zeros(count, np.uint32),
    )
    return OfferBatch(keys=keys, offers=offers, cells=np.searchsorted(chosen, rows) * WIDTH + slots)


def _notes(series: _Series, found: GapEstimate, *, now: Any) -> list[tuple[Any, ...]]:
    made = found.values != MISSING
    notes: list[tuple[Any, ...]] = []
    for row in np.flatnonzero(made.any(axis=1)).tolist():
        (method, _), *_ = Counter(found.method[row][made[row]].tolist()).most_common(1)
        energy, slots = int(found.values[row][made[row]].sum()), int(made[row].sum())
        key = (series.point, series.channel, series.window.days[row])
        notes.append((*key, slots, energy, _METHOD_NAMES[method], found.scaled[row], now))
    return notes
