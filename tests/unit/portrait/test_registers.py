"""Energy and demand from registers: exact, through meter changes, the same for any order of what was said."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portrait.rules.registers import (
    REASONS,
    MeterChange,
    RegisterEnergy,
    RegisterReading,
    difference,
    maximum_demand,
    register_energy,
)

START = datetime(2026, 2, 28, 16, tzinfo=UTC)
END = datetime(2026, 3, 31, 16, tzinfo=UTC)
MIDDLE = START + timedelta(days=11, hours=3, minutes=17)


def reading(value: str, at: datetime = START, *, meter: str = "M-1", name: str = "active-import", **other):  # type: ignore[no-untyped-def]
    return RegisterReading(
        **{"meter_id": meter, "register_name": name, "tou_period": "total", "frozen_at": at, "value": Decimal(value),
           "multiplier": 100, **other}
    )  # fmt: skip


def change(at: datetime = MIDDLE, *, old: str = "M-1", new: str = "M-2", **other):  # type: ignore[no-untyped-def]
    return MeterChange(
        **{"changed_at": at, "old_meter_id": old, "new_meter_id": new, "old_active_import_kwh": Decimal("1200.50"),
           "new_active_import_kwh": Decimal("0.02"), "new_multiplier": 150, **other}
    )  # fmt: skip


def energy(readings, changes=(), *, name: str = "active-import", period: str = "total") -> RegisterEnergy:  # type: ignore[no-untyped-def]
    return register_energy(
        readings=readings, changes=changes, register_name=name, tou_period=period, start=START, end=END
    )


def test_energy_is_the_difference_times_the_multiplier() -> None:
    assert energy([reading("1000.0004"), reading("1234.5678", END)]).wh == 23_456_740


def test_a_meter_change_inside_the_month_adds_both_meters_with_their_own_multiplier() -> None:
    found = energy([reading("1000"), reading("80", END, meter="M-2", multiplier=150)], [change()])
    assert found.wh == 200_500 * 100 + 79_980 * 150
    assert [(s.meter_id, s.multiplier) for s in found.steps] == [("M-1", 100), ("M-2", 150)]


def test_two_changes_in_one_month_are_three_steps() -> None:
    later = change(MIDDLE + timedelta(days=2), old="M-2", new="M-3", old_active_import_kwh=Decimal(10))
    found = energy([reading("1000"), reading("5.02", END, meter="M-3", multiplier=150)], [later, change()])
    assert found.wh == 200_500 * 100 + 9_980 * 150 + 5_000 * 150


def test_a_change_at_the_border_of_the_month_belongs_to_no_month_twice() -> None:
    at_start = change(START)
    new = [reading("0.02", meter="M-2", multiplier=150), reading("80", END, meter="M-2", multiplier=150)]
    assert energy([reading("1200.5"), *new], [at_start]).wh == 79_980 * 150
    old = [reading("1000"), reading("1200.5", END)]
    assert energy([*old, reading("0.02", END, meter="M-2", multiplier=150)], [change(END)]).wh == 200_500 * 100


def test_other_registers_need_a_reading_of_both_meters_at_the_change() -> None:
    ends = [reading("10", name="reactive-q1"), reading("9", END, meter="M-2", name="reactive-q1", multiplier=150)]
    assert energy(ends, [change()], name="reactive-q1").reason == "no-register-at-change"
    both = [
        reading("30", MIDDLE, name="reactive-q1"),
        reading("1", MIDDLE, meter="M-2", name="reactive-q1", multiplier=150),
    ]
    assert energy([*ends, *both], [change()], name="reactive-q1").wh == 20_000 * 100 + 8_000 * 150


@pytest.mark.parametrize(
    ("readings", "changes", "reason"),
    [
        ([reading("2", END)], [], "no-register-at-start"),
        ([reading("1")], [], "no-register-at-end"),
        ([reading("1"), reading("2", END, meter="M-9")], [], "no-register-at-end"),
        ([reading("1"), reading("0.9", END)], [], "register-went-back"),
        ([reading("1"), reading("2", END, multiplier=200)], [], "multiplier-changed"),
        ([reading("1"), reading("9", END, meter="M-3", multiplier=150)],
         [change(), change(MIDDLE + timedelta(1), old="M-9", new="M-3")], "meter-chain-broken"),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_a_reason_and_never_a_guess(readings, changes, reason) -> None:  # type: ignore[no-untyped-def]
    found = energy(readings, changes)
    assert (found.wh, found.reason) == (None, reason)
    assert all(REASONS[reason])


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.sampled_from([100, 150])), min_size=2,
        max_size=14,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_order_and_repetition_of_what_was_said_gives_the_same_energy_and_demand(
    said: list[tuple[int, int, int, int]], rng: random.Random
) -> None:
    instants = [START, START + timedelta(days=9), END]
    readings = [
        reading(str(value), instants[at], revision=revision, multiplier=multiplier)
        for at, value, revision, multiplier in said
    ]
    readings += [replace(r, register_name="maximum-demand", demand_at=MIDDLE) for r in readings]
    again = readings + rng.choices(readings, k=len(readings))
    rng.shuffle(again)
    assert energy(again) == energy(readings)
    assert maximum_demand(readings=again, start=START, end=END) == maximum_demand(
        readings=readings, start=START, end=END
    )


@given(st.lists(st.integers(0, 50), min_size=3, max_size=8), st.lists(st.booleans(), min_size=7, max_size=7))
@settings(max_examples=200, deadline=None)
def test_the_energies_of_parts_add_up_to_the_energy_of_the_whole_through_changes(
    used: list[int], changed: list[bool]
) -> None:
    """Day by day, with a change of meter at noon of some days."""
    readings, changes, meter, value = [reading("0")], [], 1, 0
    instants = [START + timedelta(days=n) for n in range(len(used) + 1)]
    for n, kwh in enumerate(used):
        if changed[n % 7]:
            noon = instants[n] + timedelta(hours=12)
            new = change(
                noon, old=f"M-{meter}", new=f"M-{meter + 1}", old_active_import_kwh=Decimal(value + kwh),
                new_active_import_kwh=Decimal(7), new_multiplier=100,
            )  # fmt: skip
            changes.append(new)
            meter, value = meter + 1, 7
        else:
            value += kwh
        readings.append(reading(str(value), instants[n + 1], meter=f"M-{meter}"))

    def part(a: datetime, b: datetime) -> int:
        found = register_energy(
            readings=readings, changes=changes, register_name="active-import", tou_period="total", start=a, end=b
        )
        assert found.wh is not None, found.reason
        return found.wh

    parts = sum(part(a, b) for a, b in pairwise(instants))
    assert parts == part(instants[0], instants[-1]) == sum(used) * 1000 * 100


def test_the_demand_that_the_meter_formed_counts_with_its_multiplier_and_time() -> None:
    demand = [
        reading("2.5", END, name="maximum-demand", demand_at=MIDDLE),
        reading("2.7", START, name="maximum-demand", demand_at=START - timedelta(minutes=1)),
        reading("2.6", END + timedelta(days=1), name="maximum-demand", demand_at=END),
    ]
    found = maximum_demand(readings=demand, start=START, end=END)
    assert found is not None
    assert (found.kw, found.occurred_at) == (Decimal("250.0"), MIDDLE)


@pytest.mark.parametrize(("frozen_at", "counts"), [(START, False), (START + timedelta(seconds=1), True), (END, True)])
def test_a_demand_without_its_time_belongs_to_the_period_of_its_freeze(frozen_at: datetime, counts: bool) -> None:
    found = maximum_demand(readings=[reading("1", frozen_at, name="maximum-demand")], start=START, end=END)
    assert (found is not None) is counts


@pytest.mark.parametrize(
    ("register", "curve", "expected"),
    [(100, 98, (-2, -0.02)), (0, 0, (0, 0.0)), (0, 5, (5, float("inf"))), (None, 5, None), (5, None, None)],
)
def test_the_difference_of_curve_and_register_is_shown_where_both_are_there(
    register: int | None, curve: int | None, expected: tuple[int, float] | None
) -> None:
    assert difference(register_wh=register, curve_wh=curve) == expected
