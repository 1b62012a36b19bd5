"""What stands beside a score: peers, shift pattern, shutdown days, the worth of weak points, terms in force."""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

import pytest

from services.portrait.reference_data import shipped
from services.portrait.rules.load_indicators import demand_cv, transformer_utilization
from services.portrait.rules.measured import Measured
from services.portrait.rules.peers import peer_group, percentile, size_class, withheld_because
from services.portrait.rules.score_schemes import scheme_document_from
from services.portrait.rules.shift_pattern import Shift, shift_of, shutdown_days
from services.portrait.rules.terms import terms_in_force
from services.portrait.rules.weak_points import MonthUse, target_of, weak_point_value

TWO_SHIFTS = scheme_document_from(shipped("score_scheme_demo")).schemes[1]
PRICES = {
    "peak_yuan_per_kwh": Decimal("1.10"), "flat_yuan_per_kwh": Decimal("0.70"),
    "valley_yuan_per_kwh": Decimal("0.30"), "demand_yuan_per_kw": Decimal("38"),
    "capacity_yuan_per_kva": Decimal("24"), "adjustable_bill_yuan": Decimal(100_000),
    "power_factor_standard": Decimal("0.90"),
}  # fmt: skip


def use(value: float, target: float, *, maximum_kw: int = 800, contract_kw: int = 1000) -> MonthUse:
    return MonthUse(
        value=value, target=target, energy_kwh=Decimal(200_000), maximum_kw=Decimal(maximum_kw),
        contract_kva=Decimal(1000), operating_kva=Decimal(1000), contract_demand_kw=Decimal(contract_kw),
    )  # fmt: skip


@pytest.mark.parametrize(("peers", "why"), [(7, "too-few-peers"), (8, None)])
def test_fewer_than_eight_peers_are_not_compared(peers: int, why: str | None) -> None:
    assert withheld_because(peers=peers, energy_wh=100, largest_wh=20) == why


@pytest.mark.parametrize(("largest", "why"), [(49, None), (50, None), (51, "one-dominates")])
def test_a_peer_with_over_half_of_the_energy_closes_the_comparison(largest: int, why: str | None) -> None:
    assert withheld_because(peers=20, energy_wh=100, largest_wh=largest) == why


@pytest.mark.parametrize(("score", "expected"), [(10, 0), (20, 25), (50, 100), (30, 50)])
def test_the_percentile_counts_the_other_peers_below(score: float, expected: float) -> None:
    assert percentile(score=score, sorted_scores=[10, 20, 30, 40, 50]) == expected


@pytest.mark.parametrize(("kva", "size"), [(314, "S1"), (315, "S2"), (999, "S2"), (1000, "S3"), (20_000, "S5")])
def test_the_border_belongs_to_the_larger_size(kva: float, size: str) -> None:
    assert size_class(contract_kva=kva) == size
    assert peer_group(industry_class="C3130", contract_kva=kva) == f"C31-{size}"


@pytest.mark.parametrize(
    ("hours", "shift"),
    [(1, "one"), (10, "one"), (11, "two"), (18, "two"), (19, "three"), (23, "three")],
)
def test_the_hours_worked_tell_the_shifts(hours: int, shift: Shift) -> None:
    assert shift_of(profile_wh=[900] * hours + [100] * (24 - hours)) == shift


@pytest.mark.parametrize(("lowest", "shift"), [(800, "continuous"), (799, "one")])
def test_a_load_that_never_falls_far_is_continuous(lowest: int, shift: Shift) -> None:
    assert shift_of(profile_wh=[1000] * 8 + [lowest] * 16) == shift
    assert shift_of(profile_wh=[0] * 24) is None


def test_days_below_a_share_of_the_median_day_are_shutdown_days_and_unknown_days_are_not() -> None:
    assert shutdown_days(day_totals_wh=[100, 100, 100, 39, 40, None, 100, 100, 0]) == (3, 8)
    assert shutdown_days(day_totals_wh=[None, None]) == ()


def test_transformer_utilisation_needs_capacity_and_power_factor() -> None:
    half = transformer_utilization(maximum_demand_kw=450, power_factor=Measured(0.9), operating_kva=1000)
    assert half.value == 0.5
    without = transformer_utilization(maximum_demand_kw=450, power_factor=Measured(0.9), operating_kva=None)
    assert without.reason == "no-capacity"
    unmetered = Measured.missing("no-reactive-energy")
    found = transformer_utilization(maximum_demand_kw=450, power_factor=unmetered, operating_kva=1000)
    assert found.reason == "no-reactive-energy"


def test_the_stability_of_demand_needs_all_twelve_months() -> None:
    assert demand_cv(monthly_maximum_kw=[5.0] * 12).value == 0
    assert demand_cv(monthly_maximum_kw=[4.0, 6.0] * 6).value == pytest.approx(0.2)
    assert demand_cv(monthly_maximum_kw=[4.0] * 11 + [None]).reason == "fewer-than-12-months"
    assert demand_cv(monthly_maximum_kw=[0.0] * 12).reason == "zero-peak"


@pytest.mark.parametrize(
    ("code", "use_", "yuan"),
    [
        ("valley_share", use(0.30, 0.40), "16000.00"),  # 20,000 kWh x 0.80
        ("peak_share", use(0.40, 0.35), "4000.00"),  # 10,000 kWh x 0.40
        ("load_factor", use(0.45, 0.60), "7600.00"),  # 200 kW x 38
        ("power_factor", use(0.85, 0.92), "2800.00"),  # + 2.50 % to - 0.30 %
        ("demand_ratio", use(1.2, 1.05, maximum_kw=1200), "5700.00"),  # 150 kW above 1.05, once more
        ("demand_ratio", use(0.8, 0.95, maximum_kw=840), "7600.00"),  # 200 kW contracted in vain
        ("kwh_per_kva", use(200, 260), "3040.00"),  # a tenth of 800 kW x 38
        ("kwh_per_kva", use(260, 260), "0.00"),
        ("transformer_utilization", use(0.20, 0.40), "12000.00"),  # half of 1,000 kVA
    ],
)
def test_a_weak_point_has_its_worth_in_yuan(code: str, use_: MonthUse, yuan: str) -> None:
    assert weak_point_value(code=code, use=use_, prices=PRICES).saving_yuan_per_month == Decimal(yuan)


def test_a_missing_price_is_named_and_never_assumed() -> None:
    without = {name: price for name, price in PRICES.items() if name != "valley_yuan_per_kwh"}
    found = weak_point_value(code="valley_share", use=use(0.3, 0.4), prices=without)
    assert (found.missing_price, found.saving_yuan_per_month) == ("valley_yuan_per_kwh", None)
    assert weak_point_value(code="demand_cv", use=use(0.3, 0.1), prices=PRICES).no_formula


def test_the_target_is_the_nearest_value_that_scores_90() -> None:
    assert target_of(code="kwh_per_kva", value=100, scheme=TWO_SHIFTS) == 260
    below, above = (target_of(code="demand_ratio", value=v, scheme=TWO_SHIFTS) for v in (0.5, 1.4))
    assert below == pytest.approx(0.70 + 0.25 * 25 / 35)
    assert above == pytest.approx(1.05 + 0.15 * 10 / 60)


class Terms(NamedTuple):
    account_id: str
    valid_from: date
    valid_to: date | None


def test_one_period_of_each_account_counts_held_before_next_before_last() -> None:
    first, second = Terms("A", date(2020, 1, 1), date(2021, 1, 1)), Terms("A", date(2022, 1, 1), None)
    both = [first, second]
    assert terms_in_force(both, day=date(2020, 12, 31)) == [first]
    assert terms_in_force(both, day=date(2021, 1, 1)) == [second]
    assert terms_in_force(both, day=date(2022, 1, 1)) == [second]
    assert terms_in_force([first], day=date(2024, 1, 1)) == [first]
    assert terms_in_force([*both, Terms("B", date(2023, 1, 1), None)], day=date(2020, 1, 1))[0] is first
