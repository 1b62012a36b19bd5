"""Working days by the State Council's holiday notices, and the deadlines counted in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

METHOD_CHANGE_WORKING_DAYS = 15
"""发改办价格〔2016〕1583号: a change of the charging method, by quarter, is applied for 15 working days ahead."""
VALUE_CHANGE_WORKING_DAYS = 5
"""The same document: the contracted maximum demand, by month, 5 working days ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingCalendar:
    """`years` are those whose notice is known; in others only weekends are days off, so dates are provisional."""

    days_off: frozenset[date]
    make_up_days: frozenset[date]
    years: frozenset[int]

    def is_working_day(self, day: date) -> bool:
        if day in self.days_off:
            return False
        return day in self.make_up_days or day.weekday() < 5

    def working_day_before(self, day: date, *, count: int) -> date:
        """The `count`-th working day before `day`, which is not counted itself."""
        while count:
            day -= timedelta(days=1)
            count -= self.is_working_day(day)
        return day

    def working_days_between(self, first: date, after: date) -> int:
        return sum(self.is_working_day(first + timedelta(days=n)) for n in range((after - first).days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Applying on `apply_until` still leaves the prescribed working days before `effective_on`."""

    change: str
    apply_until: date
    effective_on: date
    working_days_left: int
    provisional: bool


def next_deadlines(*, today: date, calendar: WorkingCalendar) -> tuple[Deadline, Deadline]:
    """The next that can still be met: of the charging method (next quarter), of the contracted value (next month)."""
    return (
        _next("method", today, calendar, months=3, count=METHOD_CHANGE_WORKING_DAYS),
        _next("value", today, calendar, months=1, count=VALUE_CHANGE_WORKING_DAYS),
    )


def _next(change: str, today: date, calendar: WorkingCalendar, *, months: int, count: int) -> Deadline:
    effective = today
    while True:
        effective = _period_after(effective, months=months)
        until = calendar.working_day_before(effective, count=count)
        if until >= today:
            return Deadline(
                change=change, apply_until=until, effective_on=effective,
                working_days_left=calendar.working_days_between(today, until),
                provisional=not {today.year, until.year, (effective - timedelta(days=1)).year} <= calendar.years,
            )  # fmt: skip


def _period_after(day: date, *, months: int) -> date:
    """First day of the next period of `months` (1 or 3) that begins after `day`."""
    index = (day.month - 1) // months * months + months
    return date(day.year + index // 12, index % 12 + 1, 1)


def calendar_from(rows: Iterable[Mapping[str, str]]) -> WorkingCalendar:
    """From rows with year, date, is_off_day (True or False); a notice may name days of the year before.

    Of two notices that name one day the later year's counts.
    """
    said: dict[date, bool] = {}
    years = set()
    for row in sorted(rows, key=lambda r: (int(r["year"]), r["date"])):
        years.add(int(row["year"]))
        said[date.fromisoformat(row["date"])] = row["is_off_day"] == "True"
    return WorkingCalendar(
        days_off=frozenset(day for day, off in said.items() if off),
        make_up_days=frozenset(day for day, off in said.items() if not off),
        years=frozenset(years),
    )
