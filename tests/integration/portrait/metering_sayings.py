"""What metering systems say in these tests, and how one job is run by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.contracts.metering import IntervalBlockRecorded, MeterChanged, RegisterReadingFrozen
from services.kernel.broker import Record
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.jobs import JobRunner
from services.portrait.manifest import SERVICE
from tests.integration.portrait.house import NOW, Portrait

TODAY = NOW.astimezone(BUSINESS_ZONE).date()


def at(day: date, hour: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BUSINESS_ZONE) + timedelta(hours=hour)


def curve(
    portrait: Portrait, day: date, values: Sequence[int | None], *, point: str = "UP-1", first_slot: int = 0,
    step: int = 60, **other: Any,
) -> Record:  # fmt: skip
    said: dict[str, Any] = {
        "usage_point_id": point, "channel": "active-import", "kind": "energy", "quality": "measured", "revision": 0,
        "start": at(day, first_slot * step / 60), "step_minutes": step, "values": tuple(values),
        "source_time": at(day, 24), **other,
    }  # fmt: skip
    return portrait.record(IntervalBlockRecorded(**said))


def register(portrait: Portrait, day: date, kwh: str, *, hour: float = 0, point: str = "UP-1", **other: Any) -> Record:
    said: dict[str, Any] = {
        "usage_point_id": point, "meter_id": "M-1", "register_name": "active-import", "value": Decimal(kwh),
        "multiplier": 100, "frozen_at": at(day, hour), **other,
    }  # fmt: skip
    return portrait.record(RegisterReadingFrozen(**said))


def meter_change(portrait: Portrait, day: date, *, hour: float, old_kwh: str, new_kwh: str, **other: Any) -> Record:
    said: dict[str, Any] = {
        "usage_point_id": "UP-1", "old_meter_id": "M-1", "new_meter_id": "M-2", "changed_at": at(day, hour),
        "old_active_import_kwh": Decimal(old_kwh), "new_active_import_kwh": Decimal(new_kwh), "new_multiplier": 150,
        **other,
    }  # fmt: skip
    return portrait.record(MeterChanged(**said))


async def run_job(portrait: Portrait, name: str) -> None:
    (job,) = [j for j in SERVICE.jobs if j.name == name]
    runner = JobRunner(jobs=(), database=portrait.database, holder="tests")
    run = await runner._claim(replace(job, every=timedelta(0)))
    assert run is not None
    await job.run(run)
    await runner._finish(run)
