"""What is said of a month under way: each warning at, below and above its border; nothing without a reason."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portrait.reference_data import shipped, working_calendar
from services.portrait.rules.basic_charge import rules_from, rules_on
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.in_month import REASONS, AccountMonth, Line, WarningThresholds, assess_month
from services.portrait.rules.power_factor import average_power_factor_hundredths, largest_reactive_varh
from services.portrait.rules.projection import Projection, project_month
from services.portrait.rules.working_days import next_deadlines

RULES = rules_on(date(2026, 9, 1), versions=rules_from(shipped("basic_charge_rules")))
THRESHOLDS = WarningThresholds.from_document(shipped("warning_thresholds")["versions"][0])
_, DEADLINE = next_deadlines(today=date(2026, 9, 8), calendar=working_calendar())
GOOD = AccountMonth(
    method="contract-demand", contract_demand_kw=Decimal(1200), capacity_kva=Decimal(2000),
    power_factor_standard_hundredths=90, days_known=10, active_wh=200_000_000, active_beside_reactive_wh=200_000_000,
    lagging_varh=60_000_000, leading_varh=0, maximum_kw=Decimal(1100),
    projection=Projection(total_wh=600_000_000, method="by-profile"),
    value_deadline=DEADLINE,
)  # fmt: skip


def lines(
    *, warned: frozenset[Any] = frozenset(), thresholds: WarningThresholds = THRESHOLDS, **other: Any
) -> dict[str, Line]:
    account = replace(GOOD, **other)
    return {x.kind: x for x in assess_month(account=account, rules=RULES, thresholds=thresholds, warned=warned)}


def test_a_month_that_goes_well_warns_of_nothing_and_shows_its_figures() -> None:
    found = lines()
    assert [x.level for x in found.values()] == [None] * 4
    assert (found["demand"].value, found["demand"].limit) == (Decimal(1100), Decimal(1260))
    assert found["utilisation"].figures["on_track"] is True


@pytest.mark.parametrize(
    ("kw", "level"),
    [("1196.999999", None), ("1197", "near"), ("1260", "near"), ("1260.000001", "exceeded"), ("1300", "exceeded")],
)
def test_demand_is_near_from_95_percent_of_the_free_demand_on_and_exceeded_above_it(kw: str, level: str) -> None:
    found = lines(maximum_kw=Decimal(kw))["demand"]
    assert found.level == level
    charged = Decimal(1200) if level != "exceeded" else 1200 + 2 * (Decimal(kw) - 1260)
    assert found.figures["charged_demand_kw"] == charged


def test_a_customers_own_threshold_moves_the_border() -> None:
    own = THRESHOLDS.with_own({"demand_near_share": "0.80"}, effective_from=date(2026, 9, 1))
    assert lines(thresholds=own)["demand"].level == "near"
    assert own.version == "demo-1+own"


@pytest.mark.parametrize(
    ("varh", "level"),
    [
        (99_000_000, None), (99_670_000, None), (99_690_000, "recoverable"), (299_000_000, "recoverable"),
        (299_100_000, "lost"),
    ],
)  # fmt: skip
def test_power_factor_below_standard_is_recoverable_while_the_rest_of_the_month_can_dilute_it(
    varh: int, level: str | None
) -> None:
    """200 MWh so far, 600 projected: rounding to 0.90 allows 99.68 Mvarh now and 299.04 in the whole month."""
    found = lines(lagging_varh=varh)["power-factor"]
    assert found.level == level
    allowed_now = largest_reactive_varh(active_wh=200_000_000, standard_hundredths=90)
    allowed = largest_reactive_varh(active_wh=600_000_000, standard_hundredths=90)
    over = varh * 3 - allowed
    assert found.figures["over_now_kvarh"] == Decimal(max(0, varh - allowed_now)) / 1000
    assert found.figures["recoverable_kvarh"] == Decimal(max(0, min(over, 2 * varh))) / 1000


def test_compensating_the_recoverable_kvarh_ends_the_month_at_the_standard() -> None:
    found = lines(lagging_varh=150_000_000)["power-factor"]
    rest = int((found.figures["expected_in_rest_kvarh"] - found.figures["recoverable_kvarh"]) * 1000)
    end = average_power_factor_hundredths(active_wh=600_000_000, forward_varh=150_000_000 + rest, reverse_varh=0)
    assert (found.level, end) == ("recoverable", 90)
    short = average_power_factor_hundredths(
        active_wh=600_000_000, forward_varh=150_000_000 + rest + 1_000, reverse_varh=0
    )
    assert short == 89


@pytest.mark.parametrize(
    ("projected_kwh", "level"),
    [(467_999, None), (468_000, "off-track"), (519_999, "off-track"), (520_000, None), (600_000, None)],
)
def test_use_per_kva_warns_only_where_a_miss_can_still_be_turned(projected_kwh: int, level: str | None) -> None:
    found = lines(projection=Projection(total_wh=projected_kwh * 1000, method="linear"))["utilisation"]
    assert found.level == level
    assert found.figures["still_needed_kwh"] == 520_000 - 200_000


@pytest.mark.parametrize(("kwh", "level"), [(525_199, "off-track"), (525_200, None)])
def test_a_standing_warning_clears_only_beyond_its_margin(kwh: int, level: str | None) -> None:
    projection = Projection(total_wh=kwh * 1000, method="linear")
    assert lines(projection=projection)["utilisation"].level is None
    assert lines(projection=projection, warned=frozenset({"utilisation"}))["utilisation"].level == level


def with_days(left: int) -> Any:
    return replace(DEADLINE, working_days_left=left)


@pytest.mark.parametrize(("kw", "left", "level"), [
    (1261, 5, "due"), (1261, 6, None), (1260, 0, None), (1019, 5, "due"), (1020, 5, None),
])  # fmt: skip
def test_a_deadline_warns_only_when_it_is_near_and_the_contract_does_not_fit(
    kw: int, left: int, level: str | None
) -> None:
    assert lines(maximum_kw=Decimal(kw), value_deadline=with_days(left))["deadline"].level == level


def test_a_contract_at_the_floor_cannot_be_lowered() -> None:
    found = lines(contract_demand_kw=Decimal(800), maximum_kw=Decimal(100), value_deadline=with_days(1))
    assert found["deadline"].reason == "contract-fits"


@pytest.mark.parametrize(
    ("other", "kind", "reason"),
    [
        ({"method": "capacity"}, "demand", "not-by-contract-demand"),
        ({"method": "none"}, "utilisation", "not-by-demand"),
        ({"contract_demand_kw": None}, "demand", "no-contract-demand"), ({"maximum_kw": None}, "demand", "no-data"),
        ({"power_factor_standard_hundredths": None}, "power-factor", "below-assessment-border"),
        ({"lagging_varh": None, "leading_varh": None}, "power-factor", "no-reactive-energy"),
        ({"active_beside_reactive_wh": None}, "power-factor", "no-data"),
        ({"days_known": 2}, "utilisation", "too-early"),
        ({"projection": None}, "utilisation", "no-data"), ({"capacity_kva": Decimal(0)}, "utilisation", "no-capacity"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_names_its_reason(other: dict[str, Any], kind: str, reason: str) -> None:
    found = lines(**other)[kind]
    assert (found.level, found.reason) == (None, reason)
    assert all(REASONS[reason])


@given(st.integers(1, 10**12), st.sampled_from([80, 85, 90]))
@settings(max_examples=300)
def test_the_largest_reactive_energy_is_exactly_the_border_of_the_rounding(active: int, standard: int) -> None:
    most = largest_reactive_varh(active_wh=active, standard_hundredths=standard)
    at = average_power_factor_hundredths(active_wh=active, forward_varh=most, reverse_varh=0)
    above = average_power_factor_hundredths(active_wh=active, forward_varh=most + 1, reverse_varh=0)
    assert at is not None and above is not None
    assert at >= standard > above


@pytest.mark.parametrize(("power_factor", "ratio"), [(95, 3_461), (66, 11_536)])
def test_the_border_agrees_with_the_printed_ratios_of_kvarh_to_kwh(power_factor: int, ratio: int) -> None:
    most = largest_reactive_varh(active_wh=10_000_000, standard_hundredths=power_factor)
    assert most // 1000 == ratio


def days(*levels: int) -> np.ndarray:
    return np.array([[level] * 24 for level in levels], np.int64)


def test_a_linear_projection_goes_on_with_the_mean() -> None:
    energy = days(100, 200, MISSING, MISSING)
    kind = np.zeros(4, np.int64)
    found = project_month(energy=energy, kind=kind, history=energy[:0], history_kind=kind[:0], method="linear")
    assert found == Projection(total_wh=150 * 24 * 4, method="linear")


def test_a_projection_by_profile_knows_the_weekend_and_the_level_of_the_month() -> None:
    """The month runs at half the level of the past; its two open days are a weekend at a tenth."""
    energy, kind = days(100, 100, MISSING, MISSING), np.array([1, 1, 0, 0])
    history, history_kind = days(200, 200, 20, 20), np.array([1, 1, 0, 0])
    terms: dict[str, Any] = {"energy": energy, "kind": kind, "history": history, "history_kind": history_kind}
    assert project_month(**terms, method="by-profile") == Projection(total_wh=24 * (200 + 20), method="by-profile")
    empty = {**terms, "history": np.zeros((0, 24), np.int64), "history_kind": kind[:0]}
    assert project_month(**empty, method="by-profile") == Projection(total_wh=100 * 24 * 4, method="linear")


def test_nothing_is_projected_from_nothing() -> None:
    energy, kind = days(MISSING, MISSING), np.zeros(2, np.int64)
    assert project_month(energy=energy, kind=kind, history=energy, history_kind=kind, method="by-profile") is None
