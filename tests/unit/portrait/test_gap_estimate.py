"""Gap estimates: from days that are alike, equal to the registers where there are any, nothing measured touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portrait.rules.day_block import MISSING
from services.portrait.rules.gap_estimate import METHODS, GapEstimate, RegisterSpan, estimate_gaps

DAYS = 28
WEEKDAY = np.arange(DAYS) % 7
KIND = (WEEKDAY >= 5).astype(np.int64)


def plant() -> np.ndarray:
    """Four weeks of hourly energy: the weekday says the level, the hour the shape."""
    return (100 * (1 + WEEKDAY)[:, None] + np.arange(24)[None, :]).astype(np.int64)


def estimate(energy: np.ndarray, *spans: RegisterSpan, wanted: list[int] | None = None) -> GapEstimate:
    chosen = np.isin(np.arange(DAYS), range(DAYS) if wanted is None else wanted)
    return estimate_gaps(energy=energy, weekday=WEEKDAY, kind=KIND, wanted=chosen, spans=spans)


def test_a_missing_day_is_the_mean_of_the_same_weekday() -> None:
    energy, true = plant(), plant()
    energy[9] = MISSING
    found = estimate(energy)
    assert np.array_equal(found.values[9], true[9])
    assert (found.method[9] == METHODS["same-weekday"]).all()
    assert found.scaled[9] == "no-register"


def test_without_the_same_weekday_days_of_the_same_kind_serve() -> None:
    energy = plant()
    energy[WEEKDAY == 6] = MISSING
    found = estimate(energy, wanted=[6])
    assert (found.method[6] == METHODS["same-kind"]).all()
    assert found.values[6, 0] == 600


def test_only_the_four_nearest_days_count() -> None:
    energy = np.zeros((DAYS, 24), np.int64)
    energy[:, 0] = np.arange(DAYS)
    energy[13] = MISSING
    alone = np.zeros(DAYS, np.int64)
    found = estimate_gaps(energy=energy, weekday=alone, kind=alone, wanted=np.ones(DAYS, bool))
    assert found.values[13, 0] == (12 + 14 + 11 + 15) // 4


def test_nothing_to_learn_from_stays_missing() -> None:
    energy = np.full((DAYS, 24), MISSING, np.int64)
    found = estimate(energy)
    assert (found.values == MISSING).all()
    assert not found.method.any()


def test_the_gap_takes_exactly_what_register_and_curve_leave_open() -> None:
    energy = plant()
    energy[9, 5:11] = MISSING
    register = int(plant()[9].sum()) + 1_001
    found = estimate(energy, RegisterSpan(first=9, after=10, wh=register))
    known = int(energy[9][energy[9] != MISSING].sum())
    assert known + int(found.values[9, 5:11].sum()) == register
    assert found.scaled[9] == "register"


@pytest.mark.parametrize(("above", "scaled"), [(-1, "register-below-curve"), (0, "register"), (1, "register")])
def test_a_register_below_the_known_energy_is_shown_and_makes_nothing_negative(above: int, scaled: str) -> None:
    energy = plant()
    energy[9, 5] = MISSING
    known = int(energy[9][energy[9] != MISSING].sum())
    found = estimate(energy, RegisterSpan(first=9, after=10, wh=known + above))
    assert found.scaled[9] == scaled
    assert found.values[9, 5] == (above if above >= 0 else plant()[9, 5])


def test_a_span_with_a_gap_that_is_not_to_be_filled_does_not_scale() -> None:
    energy = plant()
    energy[9, 5] = energy[10, 5] = MISSING
    found = estimate(energy, RegisterSpan(first=9, after=11, wh=10**6), wanted=[9])
    assert found.values[9, 5] == plant()[9, 5]
    assert found.values[10, 5] == MISSING


def test_zero_profile_shares_a_register_difference_evenly() -> None:
    energy = np.zeros((DAYS, 24), np.int64)
    energy[9, :4] = MISSING
    found = estimate(energy, RegisterSpan(first=9, after=10, wh=10))
    assert found.values[9, :4].tolist() == [2, 3, 2, 3]


@given(
    st.sets(st.tuples(st.integers(0, DAYS - 1), st.integers(0, 23)), max_size=120),
    st.integers(0, DAYS - 2), st.integers(1, DAYS), st.integers(0, 10**9), st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_measured_slots_stay_and_a_scaled_span_agrees_with_its_register(
    gaps: set[tuple[int, int]], first: int, length: int, wh: int, seed: int
) -> None:
    energy = np.random.default_rng(seed).integers(0, 5_000, (DAYS, 24)).astype(np.int64)
    for day, slot in gaps:
        energy[day, slot] = MISSING
    span = RegisterSpan(first=first, after=min(DAYS, first + length), wh=wh)
    found = estimate(energy, span)
    made = found.values != MISSING
    assert not (made & (energy != MISSING)).any()
    assert np.array_equal(made, found.method > 0)
    assert (found.values[made] >= 0).all()
    rows = slice(span.first, span.after)
    if "register" in found.scaled[rows]:
        assert int(np.where(made, found.values, energy)[rows].sum()) == wh
