"""Indicators of a load curve and the periods of a time-of-use plan."""

from datetime import date, timedelta

import numpy as np
import pytest

from services.portrait.reference_data import shipped
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.load_indicators import (
    Curve,
    data_completeness,
    demand_ratio,
    kwh_per_kva,
    load_factor,
    peak_valley_difference_rate,
    period_share,
)
from services.portrait.rules.time_of_use import PERIODS, VALLEY, IncompletePlan, TouPlan, plan_from

CHONGQING = plan_from(shipped("tou_chongqing_2021_14"))
FLAT_DAY = np.full((1, 96), 250, np.int64)


def curve(values: np.ndarray) -> Curve:
    return Curve(energy_wh=values, step_minutes=15)


def test_a_constant_load_has_load_factor_one_and_no_peak_valley_difference() -> None:
    assert load_factor(curve=curve(FLAT_DAY)).value == 1
    assert peak_valley_difference_rate(curve=curve(FLAT_DAY)).value == 0


def test_a_day_that_runs_half_the_time_at_full_load_has_load_factor_one_half() -> None:
    values = FLAT_DAY.copy()
    values[0, :48] = 0
    assert load_factor(curve=curve(values)).value == 0.5
    assert peak_valley_difference_rate(curve=curve(values)).value == 1


def test_the_peak_valley_difference_of_a_month_is_the_mean_of_its_whole_days() -> None:
    values = np.repeat(FLAT_DAY, 3, axis=0)
    values[1, 0] = 125
    values[2, :] = MISSING
    assert peak_valley_difference_rate(curve=curve(values)).value == 0.25


def test_the_mean_of_an_interval_becomes_demand_in_kw() -> None:
    values = FLAT_DAY.copy()
    values[0, 7] = 157_180
    assert curve(values).maximum_demand_kw == pytest.approx(628.72)


def test_completeness_counts_received_of_expected_intervals() -> None:
    values = FLAT_DAY.copy()
    values[0, :24] = MISSING
    assert data_completeness(curve=curve(values)).value == 0.75


def test_without_data_every_indicator_says_so() -> None:
    nothing = curve(np.full((1, 96), MISSING, np.int64))
    periods = CHONGQING.periods(days=[(date(2026, 3, 1), "workday")], step_minutes=15)
    assert load_factor(curve=nothing).reason == "no-data"
    assert peak_valley_difference_rate(curve=nothing).reason == "no-data"
    assert period_share(curve=nothing, periods=periods, wanted=VALLEY).reason == "no-data"
    assert demand_ratio(maximum_demand_kw=nothing.maximum_demand_kw, contract_demand_kw=5).reason == "no-data"


def test_a_customer_that_used_nothing_has_no_share_and_no_load_factor() -> None:
    idle = curve(np.zeros((1, 96), np.int64))
    periods = CHONGQING.periods(days=[(date(2026, 3, 1), "workday")], step_minutes=15)
    assert load_factor(curve=idle).reason == "zero-peak"
    assert period_share(curve=idle, periods=periods, wanted=VALLEY).reason == "zero-energy"


def test_a_constant_load_uses_eight_of_24_hours_in_the_valley() -> None:
    periods = CHONGQING.periods(days=[(date(2026, 3, 1), "workday")], step_minutes=15)
    assert period_share(curve=curve(FLAT_DAY), periods=periods, wanted=VALLEY).value == pytest.approx(8 / 24)


@pytest.mark.parametrize(("wh", "kva", "expected"), [(260_000_000, 1000, 260), (130_000_000, 1000, 130)])
def test_energy_per_kva_divides_the_months_kwh_by_the_contract_capacity(wh: int, kva: float, expected: float) -> None:
    assert kwh_per_kva(total_wh=wh, contract_kva=kva).value == expected


def test_without_contract_capacity_or_demand_the_reason_names_it() -> None:
    assert kwh_per_kva(total_wh=1, contract_kva=None).reason == "no-capacity"
    assert demand_ratio(maximum_demand_kw=5, contract_demand_kw=None).reason == "no-contract-demand"


@pytest.mark.parametrize("step", [15, 30, 60])
@pytest.mark.parametrize("month", range(1, 13))
def test_the_shipped_plan_covers_every_month_and_step(month: int, step: int) -> None:
    periods = CHONGQING.periods(days=[(date(2026, month, 1), "workday")], step_minutes=step)
    hours = {name: int((periods == code).sum()) * step / 60 for name, code in PERIODS.items()}
    sharp = 2.0 if month in (1, 7, 8, 12) else 0.0
    assert hours == {"sharp": sharp, "peak": 8 - sharp, "flat": 8, "valley": 8, "deep_valley": 0}


def test_the_shipped_plan_is_marked_as_not_verified() -> None:
    assert CHONGQING.status == "needs_verification"


def test_sharp_hours_lie_on_top_of_the_peak() -> None:
    july, march = (CHONGQING.periods(days=[(date(2026, m, 1), "workday")], step_minutes=60)[0] for m in (7, 3))
    assert [int(code) for code in july[11:15]] == [2, 1, 1, 2]
    assert [int(code) for code in march[11:15]] == [2, 2, 2, 2]


def plan(rules: list[dict[str, object]]) -> TouPlan:
    head = {"id": "p", "province": "X", "document": "d", "status": "demo"}
    return plan_from({**head, "effective_from": "2026-01-01", "effective_to": "2027-01-01", "rules": rules})


def test_a_period_may_pass_midnight() -> None:
    found = plan(
        [{"period": "valley", "start": "23:00", "end": "07:00"}, {"period": "flat", "start": "07:00", "end": "23:00"}]
    ).periods(days=[(date(2026, 1, 1), "workday")], step_minutes=60)
    assert np.flatnonzero(found[0] == PERIODS["valley"]).tolist() == [0, 1, 2, 3, 4, 5, 6, 23]


@pytest.mark.parametrize(
    ("second", "what"), [({"start": "13:00"}, "12:00 lies in no period"), ({"start": "11:00"}, "overlap")]
)
def test_a_gap_and_an_overlap_are_refused(second: dict[str, str], what: str) -> None:
    broken = plan([{"period": "flat", "start": "00:00", "end": "12:00"}, {"period": "peak", "end": "24:00", **second}])
    with pytest.raises(IncompletePlan, match=what):
        broken.minutes(month=1, day_kind="workday")


def test_a_plan_is_not_used_outside_its_period() -> None:
    expired = plan([{"period": "flat", "start": "00:00", "end": "24:00"}])
    with pytest.raises(ValueError, match="not in force on 2027-01-01"):
        expired.periods(days=[(date(2026, 12, 31) + timedelta(days=1), "workday")], step_minutes=15)


def test_a_plan_with_half_hours_refuses_hourly_intervals() -> None:
    halves = plan(
        [{"period": "flat", "start": "00:00", "end": "10:30"}, {"period": "peak", "start": "10:30", "end": "24:00"}]
    )
    with pytest.raises(ValueError, match="use shorter intervals"):
        halves.periods(days=[(date(2026, 1, 1), "workday")], step_minutes=60)
