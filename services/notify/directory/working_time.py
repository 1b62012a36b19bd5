"""Working days of the State Council's notices and the office hours of the business zone: pure."""

import json
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files

from services.kernel.clock import BUSINESS_ZONE

OFFICE_HOURS = ((time(8, 30), time(12, 0)), (time(14, 0), time(17, 30)))
"""Of the house; status: needs_verification at each company."""


@lru_cache(maxsize=1)
def notices() -> dict[str, dict[str, list[str]]]:
    """Year of the notice -> days off and make-up working days (调休); drawn from `data/cn_holidays_2007_2026.csv`."""
    read: dict[str, dict[str, list[str]]] = json.loads(
        files("services.notify").joinpath("data/cn_holidays.json").read_text("utf-8")
    )
    return read


@lru_cache(maxsize=1)
def _exceptions() -> dict[date, bool]:
    """Day -> whether people work; only the days that differ from the plain week."""
    return {
        date.fromisoformat(day): name == "work"
        for notice in notices().values() for name, days in notice.items() for day in days
    }  # fmt: skip


def years_known() -> range:
    known = [int(year) for year in notices()]
    return range(min(known), max(known) + 1)


def is_working_day(day: date) -> bool:
    """Years without a notice follow the plain week, Monday to Friday."""
    return _exceptions().get(day, day.weekday() < 5)


def add_working_days(day: date, count: int) -> date:
    """The `count`-th working day after `day`; the day itself does not count."""
    if count < 0:
        raise ValueError("count must not be negative")
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def is_working_time(at: datetime) -> bool:
    local = at.astimezone(BUSINESS_ZONE)
    return is_working_day(local.date()) and any(
        begins <= local.time().replace(tzinfo=None) < ends for begins, ends in OFFICE_HOURS
    )
