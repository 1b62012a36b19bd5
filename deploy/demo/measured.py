"""Measured series as metering events: shifted by whole weeks, scaled where the source says so."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from pyarrow import parquet

from services.contracts.metering import (
    Channel,
    EquipmentReadingRecorded,
    IntervalBlockRecorded,
    RegisterReadingFrozen,
)

DATA = Path(__file__).resolve().parents[2] / "data"
ZONE = ZoneInfo("Asia/Shanghai")
AS_OF = datetime(2026, 1, 12, 9, 0, tzinfo=ZONE)
"""The demo's instant; every series ends before it."""
STEEL_SHIFT = timedelta(weeks=366)
SLOTS = 96


def steel_plant() -> Iterator[tuple[Channel, date, list[int | None]]]:
    """Day curves in Wh and varh of the steel plant, active and both reactive channels; the drop-out row is missing."""
    table = parquet.read_table(DATA / "steel_plant_2018_15min.parquet")
    ends = table.column("interval_end").to_pylist()
    columns: dict[Channel, str] = {
        "active-import": "Usage_kWh",
        "reactive-lagging": "Lagging_Current_Reactive.Power_kVarh",
        "reactive-leading": "Leading_Current_Reactive_Power_kVarh",
    }
    active = np.asarray(table.column("Usage_kWh"), dtype=float)
    for channel, name in columns.items():
        values = np.asarray(table.column(name), dtype=float)
        days: dict[date, list[int | None]] = {}
        for end, kilo, used in zip(ends, values, active, strict=True):
            start = end - timedelta(minutes=15) + STEEL_SHIFT
            day = days.setdefault(start.date(), [None] * SLOTS)
            # The one all-zero row is a drop-out of the logger, not a standstill.
            day[start.hour * 4 + start.minute // 15] = None if used == 0 else round(kilo * 1000)
        yield from ((channel, day, curve) for day, curve in sorted(days.items()))


def site_profiles(*, yearly_mwh: dict[str, float]) -> Iterator[tuple[str, date, list[int | None]]]:
    """Day curves in Wh of the measured sites, scaled to `yearly_mwh` by profile name.

    Local wall time is read as Asia/Shanghai: the hour that daylight saving removed is a gap, the doubled one averaged.
    """
    table = parquet.read_table(DATA / "german_sites_15min.parquet")
    sums: dict[tuple[str, date], np.ndarray] = {}
    counts: dict[tuple[str, date], np.ndarray] = {}
    profiles, stamps, watts = (table.column(c).to_pylist() for c in ("profile", "datetime", "w"))
    walls = [datetime.fromisoformat(stamp).replace(tzinfo=None) for stamp in stamps]
    last: dict[str, datetime] = {}
    for profile, wall in zip(profiles, walls, strict=True):
        last[profile] = max(wall, last.get(profile, wall))
    for profile, wall, w in zip(profiles, walls, watts, strict=True):
        if profile not in yearly_mwh:
            continue
        # The sites were measured in different years: each is shifted by its own number of whole weeks.
        moved = wall + timedelta(weeks=(AS_OF.replace(tzinfo=None) - last[profile]).days // 7)
        key, slot = (profile, moved.date()), moved.hour * 4 + moved.minute // 15
        sums.setdefault(key, np.zeros(SLOTS))[slot] += w * yearly_mwh[profile] / 4
        counts.setdefault(key, np.zeros(SLOTS))[slot] += 1
    for profile, day in sorted(sums):
        total, n = sums[profile, day], counts[profile, day]
        yield profile, day, [round(t / c) if c else None for t, c in zip(total, n, strict=True)]


def block(
    usage_point_id: str,
    *,
    channel: Channel,
    day: date,
    values: list[int | None],
    first_slot: int = 0,
    revision: int = 0,
) -> IntervalBlockRecorded:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE)
    return IntervalBlockRecorded(
        usage_point_id=usage_point_id,
        channel=channel,
        kind="energy",
        start=midnight + first_slot * timedelta(minutes=15),
        step_minutes=15,
        values=tuple(values),
        quality="measured",
        revision=revision,
        source_time=midnight + timedelta(days=1, hours=2, minutes=revision),
    )


def monthly_registers(blocks: Iterable[IntervalBlockRecorded]) -> list[RegisterReadingFrozen]:
    """What a meter would show at the first instant of every month, derived by adding up its measured curve."""
    days: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for b in blocks:
        if b.channel == "active-import":
            days[b.usage_point_id][b.start.astimezone(ZONE).date()] += sum(v or 0 for v in b.values)
    frozen = []
    for point in sorted(days):
        total_wh = 0
        for day in sorted(days[point]):
            if day.day == 1:
                frozen.append(_register(point, day, total_wh))
            total_wh += days[point][day]
    return frozen


def _register(usage_point_id: str, day: date, total_wh: int) -> RegisterReadingFrozen:
    return RegisterReadingFrozen(
        usage_point_id=usage_point_id,
        meter_id=f"M-{usage_point_id}",
        register_name="active-import",
        value=Decimal(total_wh) / 1000,
        multiplier=1,
        frozen_at=datetime(day.year, day.month, day.day, tzinfo=ZONE),
    )


def oil_temperature(asset_id: str, *, days: int) -> Iterator[EquipmentReadingRecorded]:
    """The last `days` of the transformer's oil temperature, one event a day, shifted to end before the instant."""
    with gzip.open(DATA / "ETTm1.csv.gz", "rt") as file:
        rows = [(datetime.fromisoformat(r["date"]), float(r["OT"])) for r in csv.DictReader(file)]
    last = rows[-1][0]
    weeks = (AS_OF.replace(tzinfo=None) - last).days // 7
    by_day: dict[date, dict[int, float]] = {}
    for at, degrees in rows:
        moved = at + timedelta(weeks=weeks)
        by_day.setdefault(moved.date(), {})[moved.hour * 4 + moved.minute // 15] = degrees
    for day in sorted(by_day)[-days:]:
        yield EquipmentReadingRecorded(
            asset_id=asset_id,
            quantity="top-oil-temperature",
            unit="degC",
            measured_from=datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC),
            step_minutes=15,
            values=tuple(by_day[day].get(slot) for slot in range(max(by_day[day]) + 1)),
        )
