"""Who is kept off the list of target customers."""

from datetime import date

import pytest

from services.portrait.rules.target_vetoes import VETOES, Breach, target_vetoes

AS_OF = date(2026, 6, 30)


def vetoed(*breaches: Breach, arrears: bool = False) -> tuple[str, ...]:
    return target_vetoes(breaches=breaches, arrears_open=arrears, as_of=AS_OF, theft_months=12, violation_months=36)


def test_a_clean_customer_is_not_vetoed_and_open_arrears_are_a_veto() -> None:
    assert vetoed() == ()
    assert vetoed(arrears=True) == ("arrears-open",)


@pytest.mark.parametrize(
    ("day", "codes"),
    [
        (date(2025, 6, 30), ("theft-in-window", "violation-in-window")),
        (date(2025, 6, 29), ("violation-in-window",)),
        (date(2023, 6, 30), ("violation-in-window",)),
        (date(2023, 6, 29), ()),
        (date(2026, 7, 1), ()),
    ],
)
def test_a_theft_counts_for_12_months_and_any_breach_for_36(day: date, codes: tuple[str, ...]) -> None:
    assert vetoed(Breach(day, theft=True)) == codes
    assert vetoed(Breach(day, theft=False)) == tuple(c for c in codes if c == "violation-in-window")
    assert set(codes) <= VETOES.keys()
