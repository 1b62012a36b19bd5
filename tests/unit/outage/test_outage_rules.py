"""The pure rules of outage coordination."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.contracts.marketing import ImportanceGrade
from services.outage.rules.customer_priority import Standing, priority_key
from services.outage.rules.notice import in_time
from services.outage.rules.parameters import NoParameter, value_of
from services.outage.rules.reliability import Interruption, indices

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
MONTH = (BEGIN, BEGIN + timedelta(hours=720))
BORDER = timedelta(minutes=3)


def lasting(users: int, hours: float, *, begins: datetime = BEGIN + timedelta(days=3)) -> Interruption:
    return Interruption(users=users, starts_at=begins, ends_at=begins + timedelta(hours=hours))


def test_two_thousand_users_and_three_interruptions_give_the_published_indices() -> None:
    """domain rules 8.3, example."""
    found = indices(
        interruptions=[lasting(300, 2), lasting(120, 0.5), lasting(50, 6)],
        users=2000,
        period=MONTH,
        sustained_over=BORDER,
    )
    assert (found.user_hours, found.interruptions) == (960, 470)
    assert found.saidi_hours == pytest.approx(0.48)
    assert found.saifi == pytest.approx(0.235)
    assert found.caidi_hours == pytest.approx(2.0426, abs=5e-5)
    assert found.asai == pytest.approx(0.999333, abs=5e-7)


@pytest.mark.parametrize(("seconds", "counted"), [(179, 0), (180, 0), (181, 1)])
def test_an_interruption_of_at_most_three_minutes_is_momentary(seconds: int, counted: int) -> None:
    found = indices(interruptions=[lasting(1, seconds / 3600)], users=10, period=MONTH, sustained_over=BORDER)
    assert found.interruptions == counted


def test_an_interruption_over_the_end_of_the_month_counts_once_and_its_hours_in_both_months() -> None:
    over = lasting(5, 4, begins=MONTH[1] - timedelta(hours=1))
    july = (MONTH[1], MONTH[1] + timedelta(hours=744))
    in_june = indices(interruptions=[over], users=10, period=MONTH, sustained_over=BORDER)
    in_july = indices(interruptions=[over], users=10, period=july, sustained_over=BORDER)
    assert (in_june.interruptions, in_june.user_hours) == (5, 5)
    assert (in_july.interruptions, in_july.user_hours, in_july.caidi_hours) == (0, 15, None)


def test_indices_of_nobody_are_refused() -> None:
    with pytest.raises(ValueError, match="users"):
        indices(interruptions=[], users=0, period=MONTH, sustained_over=BORDER)


def standing(
    customer: str,
    grade: ImportanceGrade = "none",
    *,
    reliable: bool = False,
    attention: int = 0,
    load: str | None = None,
) -> Standing:
    return Standing(
        customer_id=customer,
        importance_grade=grade,
        high_reliability=reliable,
        attention_level=attention,
        load_kw=Decimal(load) if load else None,
    )


def test_priority_is_grade_then_high_reliability_then_attention_then_load() -> None:
    expected = [
        standing("C-9", "special"),
        standing("C-8", "grade-1", load="1"),
        standing("C-7", "grade-2", reliable=True, attention=3, load="9000"),
        standing("C-6", "temporary"),
        standing("C-5", reliable=True),
        standing("C-4", attention=3),
        standing("C-3", attention=1, load="50"),
        standing("C-2", attention=1, load="49.9"),
        standing("C-1", load="100000"),
        standing("C-0"),
    ]
    by_name = sorted(expected, key=lambda s: s.customer_id)
    assert sorted(by_name, key=priority_key) == expected


@pytest.mark.parametrize(
    ("temporary", "notice", "kept"),
    [
        (False, timedelta(days=7), True),
        (False, timedelta(days=7) - timedelta(seconds=1), False),
        (True, timedelta(hours=24), True),
        (True, timedelta(hours=24) - timedelta(seconds=1), False),
    ],
)
def test_notice_is_seven_days_and_a_day_for_temporary_maintenance(
    temporary: bool, notice: timedelta, kept: bool
) -> None:
    assert in_time(now=BEGIN, starts_at=BEGIN + notice, temporary=temporary) is kept


def test_a_parameter_without_a_value_on_the_day_is_named() -> None:
    with pytest.raises(NoParameter, match="planned-notice on 1990-01-01"):
        value_of("planned-notice", day=date(1990, 1, 1))
