"""The arrays say of many customers what the scalar rules say of each: equal to the last bit, seeded."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.portrait.reference_data import shipped
from services.portrait.rules import month_facts, stored_indicators
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.efficiency_score import BANDS, efficiency_score
from services.portrait.rules.load_indicators import Curve
from services.portrait.rules.month_arrays import REASON_NAMES, Agreements, maximum_kw, month_arrays
from services.portrait.rules.month_facts import MonthSums, decode, encode, month_index
from services.portrait.rules.month_indicators import SCORED, MonthOfCustomer, month_indicators
from services.portrait.rules.score_arrays import score_arrays
from services.portrait.rules.score_schemes import scheme_document_from
from services.portrait.rules.shift_pattern import SHIFTS, shift_of, shifts_of
from services.portrait.rules.time_of_use import plan_from

PLAN = plan_from(shipped("tou_chongqing_2021_14"))
SCHEMES = scheme_document_from(shipped("score_scheme_demo"))
COUNT = 400


def curves(rng: np.random.Generator, *, days: int, slots: int) -> NDArray[np.int64]:
    """Loads of all kinds: idle, constant, negative, with gaps of an interval, a day or everything, and very large."""
    scale = rng.choice([1, 300, 90_000, 40_000_000], COUNT)[:, None, None]
    energy: NDArray[np.int64] = (rng.random((COUNT, days, slots)) * scale).astype(np.int64)
    energy[rng.random(COUNT) < 0.05] = 0
    energy[rng.random(COUNT) < 0.05] = 777
    energy[rng.random(COUNT) < 0.03] *= -1
    energy[rng.random(energy.shape) < 0.002] = MISSING
    energy[rng.random((COUNT, days)) < 0.02] = MISSING
    energy[rng.random(COUNT) < 0.03] = MISSING
    return energy


def sums(rng: np.random.Generator, energy: np.ndarray, *, step: int) -> MonthSums:
    present = energy != MISSING
    active = np.where(present, energy, 0).sum(axis=(1, 2)) + rng.integers(0, 2, COUNT) * 1000
    share = rng.choice([0.0, 0.3287, 0.4843, 0.75, 1.5], COUNT)
    reactive = rng.random(COUNT) < 0.8
    return MonthSums(
        energy_wh=active,
        minutes=present.sum(axis=(1, 2)) * step,
        expected_minutes=np.full(COUNT, energy.shape[1] * 1440),
        lagging_varh=np.where(reactive, (active * share).astype(np.int64), 0),
        leading_varh=np.where(reactive, rng.integers(0, 50, COUNT), 0),
        reactive=reactive,
    )


@pytest.mark.parametrize(("month", "step"), [(date(2024, 2, 1), 15), (date(2025, 7, 1), 30), (date(2025, 4, 1), 60)])
def test_arrays_equal_the_rules_of_one_customer(month: date, step: int) -> None:
    rng = np.random.default_rng([20_260_112, step])
    days = ((month + timedelta(days=31)).replace(day=1) - month).days
    energy = curves(rng, days=days, slots=1440 // step)
    said = sums(rng, energy, step=step)
    facts = decode(encode(month_facts.month_facts(month=month, step_minutes=step, energy_wh=energy, sums=said)))
    maxima = rng.random((12, COUNT)) * 1000
    maxima[rng.random(maxima.shape) < 0.02] = np.nan
    maxima[-1] = maximum_kw(facts)
    agreed = Agreements(
        contract_kva=rng.choice([0.0, 315.0, 1000.0], COUNT),
        operating_kva=rng.choice([0.0, 250.0, 1000.0], COUNT),
        contract_demand_kw=rng.choice([0.0, 180.5, 900.0], COUNT),
    )
    found = month_arrays(
        facts=facts,
        agreements=agreed,
        monthly_maximum_kw=maxima,
        slot_periods={(month_index(month), step): PLAN.month_slots(month=month, step_minutes=step)},
    )
    shifts = shifts_of(profiles_wh=facts["profile"].astype(np.int64), step_minutes=np.full(COUNT, step))
    periods = PLAN.periods(days=[(month + timedelta(days=n), "workday") for n in range(days)], step_minutes=step)
    stored = stored_indicators.encode(found.values)
    scored = {s: score_arrays(values=found.values, completeness=found.completeness, scheme=s) for s in SCHEMES.schemes}
    for i in range(COUNT):
        one = MonthOfCustomer(
            curve=Curve(energy_wh=energy[i], step_minutes=step),
            periods=periods,
            energy_wh=int(said.energy_wh[i]),
            reactive_varh=(int(said.lagging_varh[i]), int(said.leading_varh[i])) if said.reactive[i] else None,
            contract_kva=float(agreed.contract_kva[i]),
            operating_kva=float(agreed.operating_kva[i]),
            contract_demand_kw=float(agreed.contract_demand_kw[i]),
            monthly_maximum_kw=[None if np.isnan(kw) else float(kw) for kw in maxima[:, i]],
        )
        values, completeness = month_indicators(one)
        assert {code: found.values[code][i] for code in SCORED} == values
        assert found.completeness[i] == completeness
        assert stored_indicators.decode(stored[i].tobytes()) == values
        shift = shift_of(profile_wh=facts["profile"][i][: 1440 // step].tolist())
        assert shifts[i] == (-1 if shift is None else SHIFTS.index(shift))
        for scheme, arrays in scored.items():
            result = efficiency_score(values=values, completeness=completeness, scheme=scheme)
            assert _at(arrays, i) == (result.score, result.band, result.not_scored_because)


def _at(arrays: Any, i: int) -> tuple[float | None, str | None, str | None]:
    if arrays.not_scored[i]:
        return None, None, REASON_NAMES[arrays.not_scored[i]]
    return float(arrays.score[i]), BANDS[arrays.band[i]][1], None


def test_the_seeded_customers_meet_every_reason_the_rules_know() -> None:
    """A test of the test: the comparison above would say little about reasons that never occur."""
    seen = set()
    for month, step in ((date(2025, 7, 1), 30),):
        rng = np.random.default_rng([20_260_112, step])
        energy = curves(rng, days=31, slots=48)
        facts = month_facts.month_facts(
            month=month, step_minutes=step, energy_wh=energy, sums=sums(rng, energy, step=step)
        )
        none = np.zeros(COUNT)
        found = month_arrays(
            facts=facts,
            agreements=Agreements(contract_kva=none, operating_kva=none, contract_demand_kw=none),
            monthly_maximum_kw=np.full((12, COUNT), np.nan),
            slot_periods={(month_index(month), step): PLAN.month_slots(month=month, step_minutes=step)},
        )
        seen |= {REASON_NAMES[code] for value in found.values.values() for code in value.reason}
    assert seen >= {
        "no-data", "zero-energy", "zero-peak", "no-capacity", "no-contract-demand", "no-reactive-energy",
        "fewer-than-12-months",
    }  # fmt: skip


def test_a_month_too_large_for_32_bits_is_stored_wide_and_reads_back_the_same() -> None:
    energy = np.full((2, 30, 96), 1000, np.int64)
    energy[1] = 2**30
    zeros = np.zeros(2, np.int64)
    some = MonthSums(
        energy_wh=zeros, minutes=zeros, expected_minutes=zeros, lagging_varh=zeros, leading_varh=zeros,
        reactive=zeros.astype(bool),
    )  # fmt: skip
    facts = month_facts.month_facts(month=date(2026, 4, 1), step_minutes=15, energy_wh=energy, sums=some)
    cells = encode(facts)
    assert [len(cell) for cell in cells] == [month_facts.NARROW.itemsize, month_facts.WIDE.itemsize]
    assert decode(cells).tobytes() == facts.tobytes()
    assert decode(cells[:1]).dtype == month_facts.NARROW


def test_a_plan_that_tells_kinds_of_days_apart_cannot_split_the_sums_of_a_month() -> None:
    document = shipped("tou_chongqing_2021_14")
    document["rules"].append(
        {"period": "deep_valley", "start": "00:00", "end": "08:00", "day_kind": "holiday", "priority": 2}
    )
    with pytest.raises(ValueError, match="kinds of days"):
        plan_from(document).month_slots(month=date(2026, 5, 1), step_minutes=15)
