"""Working days, and whose word on an address counts."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from services.notify.directory.confirmation import may_be_asked, months_before
from services.notify.directory.precedence import Statement, conflict, in_force
from services.notify.directory.working_time import (
    add_working_days,
    is_working_day,
    is_working_time,
    notices,
    years_known,
)

PROJECT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def said(source: str, value: str, *, usable: bool = True) -> Statement:
    return Statement(source=source, index=value.encode(), said_at=NOW, usable=usable)


def test_the_calendar_is_the_one_of_the_notices() -> None:
    with (PROJECT / "data" / "cn_holidays_2007_2026.csv").open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            kind = "off" if row["is_off_day"] == "True" else "work"
            assert row["date"] in notices()[row["year"]][kind]
    assert (years_known()[0], years_known()[-1]) == (2007, 2026)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-10-07", False), ("2026-10-08", True),  # the last day off, the first day after
        ("2026-10-10", True), ("2026-10-11", False),  # 调休 Saturday, plain Sunday
        ("2026-09-30", True), ("2031-01-01", True),  # no notice yet: the plain week
    ],
)  # fmt: skip
def test_days_off_and_make_up_days(day: str, works: bool) -> None:
    assert is_working_day(date.fromisoformat(day)) is works


def test_working_days_are_counted_from_the_day_after() -> None:
    before = date(2026, 9, 30)
    assert [add_working_days(before, n) for n in (0, 1, 3)] == [before, date(2026, 10, 8), date(2026, 10, 10)]


@pytest.mark.parametrize(
    ("local", "inside"),
    [("08:29", False), ("08:30", True), ("11:59", True), ("12:00", False), ("13:59", False), ("14:00", True),
     ("17:29", True), ("17:30", False)],
)  # fmt: skip
def test_office_hours_begin_and_end_at_their_minute(local: str, inside: bool) -> None:
    for day, works in (("2026-10-09", True), ("2026-10-07", False)):
        at = datetime.fromisoformat(f"{day}T{local}:00+08:00")
        assert is_working_time(at) is (inside and works)
        assert is_working_time(at + timedelta(seconds=59)) is (inside and works)


def test_the_own_word_goes_before_the_administrators_the_managers_and_the_archives() -> None:
    words = [said(source, source) for source in ("archive", "manager", "customer", "person")]
    for count in range(1, 5):
        chosen = in_force(words[:count])
        assert chosen is not None and chosen.source == words[count - 1].source
    assert in_force([]) is None


def test_an_address_that_does_not_work_goes_behind_one_that_may() -> None:
    chosen = in_force([said("person", "1", usable=False), said("archive", "2")])
    assert chosen is not None and chosen.source == "archive"
    assert in_force([said("person", "1", usable=False)]) is not None


def test_a_conflict_is_a_local_word_that_differs_from_the_archives() -> None:
    assert conflict([said("archive", "1"), said("person", "1")]) is None
    assert conflict([said("person", "1")]) is None and conflict([said("archive", "1")]) is None
    found = conflict([said("archive", "1"), said("person", "2")])
    assert found is not None and (found[0].source, found[1].source) == ("person", "archive")


@pytest.mark.parametrize(
    ("now", "months", "before"),
    [("2026-07-31", 1, "2026-06-30"), ("2026-08-31", 6, "2026-02-28"), ("2024-08-29", 6, "2024-02-29"),
     ("2026-03-15", 6, "2025-09-15"), ("2026-01-01", 12, "2025-01-01")],
)  # fmt: skip
def test_half_a_year_before_is_the_same_day_or_the_last_of_its_month(now: str, months: int, before: str) -> None:
    assert months_before(datetime.fromisoformat(now), months) == datetime.fromisoformat(before)


def test_who_was_asked_is_asked_again_after_thirty_days() -> None:
    asked = NOW - timedelta(days=30)
    assert may_be_asked(None, now=NOW) and may_be_asked(asked, now=NOW)
    assert not may_be_asked(asked + timedelta(microseconds=1), now=NOW)
