"""The seven portrait indicators and the four-high classes."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from services.portrait.reference_data import shipped
from services.portrait.rules.classes import CustomerFacts, class_rules_from, classify
from services.portrait.rules.measured import Measured
from services.portrait.rules.portrait_indicators import (
    INDICATORS,
    Violation,
    avg_monthly_kwh,
    complaint_rate,
    kwh_growth_rate,
    monthly_service_rate,
    penalty_bill_share,
    supply_nature_score,
    violation_index,
)

DOCUMENT = shipped("class_rules_demo")
RULES = class_rules_from(DOCUMENT)
NATURE = DOCUMENT["supply_nature_scores"]
AVERAGE = CustomerFacts(
    indicators={
        "supply_nature_score": Measured(50),
        "avg_monthly_kwh": Measured(20_000),
        "monthly_service_rate": Measured(0.5),
        "kwh_growth_rate": Measured(0.02),
        "complaint_rate": Measured(0),
        "violation_index": Measured(0),
        "penalty_bill_share": Measured(0),
    },
    dual_supply=False,
    capacity_application_within_12_months=False,
    avg_monthly_bill_yuan=12_000,
)


def facts(**indicators: Measured) -> CustomerFacts:
    return replace(AVERAGE, indicators={**AVERAGE.indicators, **indicators})


@pytest.mark.parametrize(
    ("grade", "nature", "score"),
    [
        ("special", "general", 100),
        ("grade-1", None, 90),
        ("grade-2", "continuous-process", 80),
        (None, "continuous-process", 70),
        (None, "seasonal", 30),
    ],
)
def test_the_nature_of_use_scores_the_higher_of_grade_and_industry(
    grade: str | None, nature: str | None, score: float
) -> None:
    assert supply_nature_score(importance_grade=grade, nature=nature, scores=NATURE).value == score


def test_an_unmapped_nature_has_no_score() -> None:
    assert supply_nature_score(importance_grade=None, nature="X99", scores=NATURE).reason == "unknown-nature"


def test_mean_monthly_energy_needs_twelve_whole_months() -> None:
    assert avg_monthly_kwh(monthly_wh=[None, *[1_000_000] * 12]).value == 1000
    assert avg_monthly_kwh(monthly_wh=[*[1_000_000] * 11, None]).reason == "fewer-than-12-months"


def test_growth_compares_twelve_months_with_the_twelve_before() -> None:
    assert kwh_growth_rate(monthly_wh=[100] * 12 + [110] * 12).value == pytest.approx(0.10)
    assert kwh_growth_rate(monthly_wh=[100] * 23).reason == "fewer-than-24-months"
    assert kwh_growth_rate(monthly_wh=[0] * 12 + [5] * 12).reason == "zero-energy"


def test_service_rate_is_per_month_and_thousand_kva() -> None:
    assert monthly_service_rate(contacts=24, months=12, contract_kva=2000).value == 1
    assert monthly_service_rate(contacts=24, months=12, contract_kva=None).reason == "no-capacity"


def test_complaints_are_counted_per_contact() -> None:
    assert complaint_rate(complaints=1, contacts=4).value == 0.25
    assert complaint_rate(complaints=0, contacts=0).reason == "no-service-contacts"


def test_a_theft_counts_three_violations_and_a_year_halves_both() -> None:
    as_of = date(2026, 6, 30)
    recent = violation_index(violations=[Violation(as_of, True), Violation(as_of, False)], as_of=as_of)
    assert recent.value == 4
    old = violation_index(violations=[Violation(date(2025, 6, 30), False)], as_of=as_of)
    assert old.value == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize(("day", "counts"), [(date(2023, 6, 30), True), (date(2023, 6, 29), False)])
def test_violations_count_for_36_months(day: date, counts: bool) -> None:
    found = violation_index(violations=[Violation(day, False)], as_of=date(2026, 6, 30))
    assert (found.value != 0) is counts


def test_a_window_that_would_begin_on_30_february_begins_on_the_last_day_of_that_month() -> None:
    found = violation_index(violations=[Violation(date(2024, 2, 29), False)], as_of=date(2026, 4, 30), window_months=26)
    assert found.value is not None
    assert found.value > 0


def test_penalties_and_late_fees_are_set_against_the_bills() -> None:
    found = penalty_bill_share(penalties_yuan=Decimal(150), late_fees_yuan=Decimal(50), bills_yuan=Decimal(10_000))
    assert found.value == 0.02
    none = penalty_bill_share(penalties_yuan=Decimal(0), late_fees_yuan=Decimal(0), bills_yuan=Decimal(0))
    assert none.reason == "no-bills"


def test_an_average_customer_is_in_no_class_and_sees_all_four_verdicts() -> None:
    result = classify(facts=AVERAGE, rules=RULES)
    assert result.classes == frozenset()
    assert result.primary is None
    assert [v.name for v in result.verdicts] == [
        "high-reliability",
        "high-contribution",
        "high-service",
        "high-potential",
    ]
    assert set(AVERAGE.indicators) == set(INDICATORS)


@pytest.mark.parametrize(
    ("code", "at_border", "below", "expected"),
    [
        ("supply_nature_score", 80.0, 79.9, "high-reliability"),
        ("avg_monthly_kwh", 80_000.0, 79_999.0, "high-contribution"),
        ("monthly_service_rate", 2.0, 1.99, "high-service"),
        ("complaint_rate", 0.20, 0.19, "high-service"),
        ("kwh_growth_rate", 0.10, 0.0999, "high-potential"),
    ],
)
def test_a_class_holds_at_its_threshold_and_not_below(code: str, at_border: float, below: float, expected: str) -> None:
    assert classify(facts=facts(**{code: Measured(at_border)}), rules=RULES).classes == {expected}
    assert classify(facts=facts(**{code: Measured(below)}), rules=RULES).classes == frozenset()


def test_dual_supply_and_a_capacity_application_open_their_classes_without_any_figure() -> None:
    several = replace(AVERAGE, dual_supply=True, capacity_application_within_12_months=True)
    assert classify(facts=several, rules=RULES).classes == {"high-reliability", "high-potential"}


@pytest.mark.parametrize("code", ["violation_index", "penalty_bill_share"])
def test_a_large_customer_with_a_violation_or_penalty_is_not_high_contribution(code: str) -> None:
    large = facts(avg_monthly_kwh=Measured(500_000), **{code: Measured(0.01)})
    assert classify(facts=large, rules=RULES).classes == frozenset()


def test_a_missing_indicator_grants_no_class_and_says_why() -> None:
    result = classify(facts=facts(kwh_growth_rate=Measured.missing("fewer-than-24-months")), rules=RULES)
    potential = result.verdicts[3]
    assert not potential.holds
    assert potential.criteria[0].reason == "fewer-than-24-months"


def test_the_primary_class_is_the_one_furthest_above_the_population() -> None:
    result = classify(facts=facts(supply_nature_score=Measured(80), kwh_growth_rate=Measured(0.40)), rules=RULES)
    assert result.classes == {"high-reliability", "high-potential"}
    assert result.primary == "high-potential"


def test_a_verdict_carries_value_threshold_margin_and_rule_version() -> None:
    verdict = classify(facts=facts(kwh_growth_rate=Measured(0.15)), rules=RULES).verdicts[3]
    growth = verdict.criteria[0]
    assert (growth.code, growth.value, growth.threshold) == ("kwh_growth_rate", 0.15, 0.10)
    assert growth.margin == pytest.approx(0.05)
    assert verdict.rule_version == DOCUMENT["version"]
