"""Checks mark, never change: each at, below and above its border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portrait.rules.day_block import MISSING
from services.portrait.rules.validation import MARKS, ValidationLimits, marks_of, slot_marks

LIMITS = ValidationLimits(spike_factor=1.5, frozen_minutes=360)


def marks(*rows: list[int], step: int = 15, kva: float = 1000.0) -> list[list[int]]:
    energy = np.array(rows, np.int64)
    found = slot_marks(
        energy=energy, quality=np.full(energy.shape, 5, np.uint8), step_minutes=step,
        capacity_kva=np.full(len(rows), kva), limits=LIMITS,
    )  # fmt: skip
    return [list(map(int, row)) for row in found]


@pytest.mark.parametrize(("wh", "marked"), [(374_999, 0), (375_000, 0), (375_001, MARKS["spike"])])
def test_a_mean_load_above_capacity_times_the_factor_is_a_spike(wh: int, marked: int) -> None:
    assert marks([1, wh, 2])[0] == [0, marked, 0]


@pytest.mark.parametrize(("step", "most"), [(15, 375_000), (30, 750_000), (60, 1_500_000)])
def test_the_border_of_a_spike_follows_the_step(step: int, most: int) -> None:
    assert marks([most, most + 1], step=step)[0] == [0, MARKS["spike"]]


def test_without_a_known_capacity_nothing_is_a_spike() -> None:
    assert marks([1, 2_000_000_000], kva=float("nan"))[0] == [0, 0]


@pytest.mark.parametrize(("wh", "marked"), [(-1, MARKS["negative"]), (0, 0), (1, 0)])
def test_a_negative_energy_is_marked(wh: int, marked: int) -> None:
    assert marks([wh, 5])[0] == [marked, 0]


@pytest.mark.parametrize(("run", "marked"), [(23, 0), (24, MARKS["frozen"]), (25, MARKS["frozen"])])
def test_a_run_of_equal_energy_of_six_hours_is_frozen(run: int, marked: int) -> None:
    assert marks([7] * run + [8, 9, 10])[0] == [marked] * run + [0, 0, 0]


def test_a_plant_at_rest_and_a_gap_are_not_frozen() -> None:
    assert marks([0] * 96, [MISSING] * 96) == [[0] * 96] * 2


def test_runs_do_not_go_on_into_the_next_block() -> None:
    assert marks([7] * 20 + [1] * 3, [7] * 20 + [2] * 3) == [[0] * 23] * 2


def test_a_slot_can_carry_two_marks_with_names() -> None:
    (row,) = marks([2_000_000] * 24)
    assert marks_of(row[0]) == ["spike", "frozen"]


@given(
    st.lists(st.sampled_from([MISSING, -5, 0, 7, 400_000]), min_size=1, max_size=60),
    st.sampled_from([15, 30, 60]),
)
@settings(max_examples=200, deadline=None)
def test_the_marks_equal_a_slot_by_slot_recount_and_leave_the_values_alone(row: list[int], step: int) -> None:
    energy = np.array([row], np.int64)
    before = energy.copy()
    quality = np.where(np.arange(len(row)) % 3, 5, 3 | 0x80).astype(np.uint8)[None, :]
    found = slot_marks(
        energy=energy, quality=quality, step_minutes=step, capacity_kva=np.array([1000.0]), limits=LIMITS
    )[0]
    assert np.array_equal(energy, before)
    for i, wh in enumerate(row):
        first = last = i
        while first > 0 and row[first - 1] == wh:
            first -= 1
        while last + 1 < len(row) and row[last + 1] == wh:
            last += 1
        expected = 0
        if wh != MISSING:
            expected |= MARKS["negative"] * (wh < 0) | MARKS["questionable"] * (i % 3 == 0)
            expected |= MARKS["spike"] * (wh > 1000 * 1000 * 1.5 * step / 60)
            expected |= MARKS["frozen"] * (wh > 0 and (last - first + 1) * step >= 360)
        assert found[i] == expected
