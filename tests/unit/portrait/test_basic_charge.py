"""The basic charge against worked figures: Hubei 1-10 kV prices of 2026-08-01, 2,000 kVA."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portrait.reference_data import shipped
from services.portrait.rules.basic_charge import (
    ExcessMode,
    best_contract_kw,
    break_even_demand_kw,
    capacity_charge_yuan,
    charged_demand_kw,
    contracted_demand_kw,
    demand_charge_yuan,
    demand_price_factor,
    part_month_yuan,
    rules_from,
    rules_on,
)

VERSIONS = rules_from(shipped("basic_charge_rules"))
RULES = rules_on(date(2026, 9, 1), versions=VERSIONS)
S, PD, PC = Decimal(2000), Decimal("42.0"), Decimal("26.3")


def contract(c: int, m: str, *, mode: ExcessMode = "A", kwh: int = 519_999) -> Decimal:
    rules = replace(RULES, excess_mode=mode)
    charged = charged_demand_kw(contract_kw=Decimal(c), capacity_kva=S, maximum_kw=Decimal(m), rules=rules)
    return demand_charge_yuan(
        charged_kw=charged, demand_price_yuan=PD, energy_kwh=Decimal(kwh), contract_kva=S, rules=rules
    )


def actual(m: int, kwh: int) -> Decimal:
    return demand_charge_yuan(
        charged_kw=Decimal(m), demand_price_yuan=PD, energy_kwh=Decimal(kwh), contract_kva=S, rules=RULES
    )


@pytest.mark.parametrize(
    ("c", "m", "mode", "yuan"),
    [
        (1200, "1000", "A", "50400.00"), (1200, "1259.999999", "A", "50400.00"), (1200, "1260", "A", "50400.00"),
        (1200, "1260.000001", "A", "50400.00"), (1200, "1260.001", "A", "50400.08"), (1200, "1300", "A", "53760.00"),
        (1200, "1300", "B", "56280.00"), (1200, "1260", "B", "50400.00"), (1200, "1300", "legacy", "58800.00"),
        (1200, "1200", "legacy", "50400.00"), (600, "700", "A", "33600.00"), (800, "700", "A", "33600.00"),
        (801, "700", "A", "33642.00"),
    ],
)  # fmt: skip
def test_contracted_demand_below_at_and_above_105_percent_in_the_three_readings(
    c: int, m: str, mode: ExcessMode, yuan: str
) -> None:
    assert contract(c, m, mode=mode) == Decimal(yuan)


@pytest.mark.parametrize(("c", "kw"), [(799, 800), (800, 800), (801, 801)])
def test_a_contract_below_40_percent_is_set_to_40_percent(c: int, kw: int) -> None:
    assert contracted_demand_kw(contract_kw=Decimal(c), capacity_kva=S, rules=RULES) == kw


@pytest.mark.parametrize(("kwh", "factor"), [(519_999, "1"), (520_000, "0.90"), (520_001, "0.90")])
def test_from_260_kwh_per_kva_on_the_demand_price_is_a_tenth_lower(kwh: int, factor: str) -> None:
    assert demand_price_factor(energy_kwh=Decimal(kwh), contract_kva=S, rules=RULES) == Decimal(factor)
    before = rules_on(date(2023, 5, 31), versions=VERSIONS)
    assert demand_price_factor(energy_kwh=Decimal(kwh), contract_kva=S, rules=before) == 1


def test_actual_demand_and_capacity() -> None:
    assert actual(1300, 519_999) == Decimal("54600.00")
    assert actual(1300, 520_000) == Decimal("49140.00")
    assert capacity_charge_yuan(capacity_kva=S, capacity_price_yuan=PC) == Decimal("52600.00")


def test_the_break_even_demand() -> None:
    exact = break_even_demand_kw(capacity_kva=S, capacity_price_yuan=PC, demand_price_yuan=PD)
    assert exact.quantize(Decimal("0.01")) == Decimal("1252.38")


@pytest.mark.parametrize(("on", "yuan"), [(date(2026, 8, 1), "28845.16"), (date(2024, 5, 31), "29806.67")])
def test_a_part_month_by_the_rules_of_its_day(on: date, yuan: str) -> None:
    full = Decimal("52600.00")
    assert part_month_yuan(full_month_yuan=full, days=17, days_of_month=31, on=on) == Decimal(yuan)


@given(st.integers(100, 3000), st.integers(0, 3000))
def test_no_other_contract_is_cheaper_for_a_known_peak(peak: int, other: int) -> None:
    best = best_contract_kw(peak_kw=Decimal(peak), capacity_kva=S, rules=RULES)

    def kw(c: Decimal) -> Decimal:
        return charged_demand_kw(contract_kw=c, capacity_kva=S, maximum_kw=Decimal(peak), rules=RULES)

    assert kw(best) <= kw(Decimal(other)) + Decimal("0.000001")


def test_exactly_one_version_holds_on_every_day_since_1996() -> None:
    for n in range(0, 12_000, 7):
        day = date(1996, 10, 8) + timedelta(days=n)
        assert sum(v.effective_from <= day and (v.effective_to is None or day < v.effective_to) for v in VERSIONS) == 1
    with pytest.raises(ValueError, match="no rules"):
        rules_on(date(1996, 10, 7), versions=VERSIONS)
