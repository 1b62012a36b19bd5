"""Working days by the State Council's notices, and the deadlines counted in them."""

from datetime import date, timedelta

import pytest

from services.portrait.reference_data import working_calendar
from services.portrait.rules.working_days import calendar_from, next_deadlines

CALENDAR = working_calendar()


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 10, 1), False), (date(2026, 10, 8), True), (date(2026, 9, 20), True), (date(2026, 9, 19), False),
        (date(2026, 10, 10), True), (date(2026, 11, 24), True), (date(2026, 11, 22), False),
    ],
)  # fmt: skip
def test_holidays_make_up_days_and_ordinary_weeks(day: date, works: bool) -> None:
    assert CALENDAR.is_working_day(day) is works


def test_days_of_the_year_before_in_a_later_notice_count() -> None:
    rows = [
        {"year": "2007", "date": "2006-12-30", "is_off_day": "False"},
        {"year": "2006", "date": "2006-12-30", "is_off_day": "True"},
    ]
    assert calendar_from(rows).is_working_day(date(2006, 12, 30))


def test_the_fifth_working_day_before_november_passes_a_weekend() -> None:
    # 2026-10-30 Fr, 29 Th, 28 We, 27 Tu, 26 Mo
    assert CALENDAR.working_day_before(date(2026, 11, 1), count=5) == date(2026, 10, 26)


def test_the_fifteenth_before_the_quarter_passes_no_holiday_in_december_and_make_up_days_in_september() -> None:
    assert CALENDAR.working_day_before(date(2027, 1, 1), count=15) == date(2026, 12, 11)
    # 25 September is Mid-Autumn (off), Sunday the 20th is worked: 30 29 28 24 23 22 21 20 18 17 16 15 14 11 10
    assert CALENDAR.working_day_before(date(2026, 10, 1), count=15) == date(2026, 9, 10)


@pytest.mark.parametrize(
    ("today", "until", "effective"),
    [
        (date(2026, 10, 25), date(2026, 10, 26), date(2026, 11, 1)),
        (date(2026, 10, 26), date(2026, 10, 26), date(2026, 11, 1)),
        (date(2026, 10, 27), date(2026, 11, 24), date(2026, 12, 1)),
    ],
)
def test_the_value_can_be_changed_until_and_on_the_day_and_then_for_the_month_after(
    today: date, until: date, effective: date
) -> None:
    _, value = next_deadlines(today=today, calendar=CALENDAR)
    assert (value.apply_until, value.effective_on) == (until, effective)


@pytest.mark.parametrize(
    ("today", "until", "effective", "left"),
    [
        (date(2026, 12, 10), date(2026, 12, 11), date(2027, 1, 1), 1),
        (date(2026, 12, 11), date(2026, 12, 11), date(2027, 1, 1), 0),
    ],
)
def test_the_method_can_be_changed_for_the_quarter(today: date, until: date, effective: date, left: int) -> None:
    method, _ = next_deadlines(today=today, calendar=CALENDAR)
    assert (method.apply_until, method.effective_on, method.working_days_left) == (until, effective, left)
    assert not method.provisional


def test_a_year_without_a_notice_makes_the_date_provisional() -> None:
    method, value = next_deadlines(today=date(2026, 12, 12), calendar=CALENDAR)
    assert (method.effective_on, method.provisional) == (date(2027, 4, 1), True)
    assert (value.effective_on, value.provisional) == (date(2027, 1, 1), False)


def test_the_deadline_leaves_exactly_the_prescribed_working_days() -> None:
    for n in range(800):
        today = date(2024, 1, 1) + timedelta(days=n)
        for deadline, count in zip(next_deadlines(today=today, calendar=CALENDAR), (15, 5), strict=True):
            assert deadline.apply_until >= today
            assert CALENDAR.working_days_between(deadline.apply_until, deadline.effective_on) == count
