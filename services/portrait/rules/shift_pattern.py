"""In how many shifts a customer works, and on which days not at all, proposed from its load curve.

A proposal of the house, with its borders as dated parameters; what the customer confirms takes its place. All
comparisons are of whole numbers, so one profile and a table of profiles give the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import WIDTH

Shift = Literal["one", "two", "three", "continuous"]
SHIFTS: tuple[Shift, ...] = get_args(Shift)
SHIFT_NAMES: dict[Shift, tuple[str, str]] = {
    "one": ("单班", "one shift"),
    "two": ("两班", "two shifts"),
    "three": ("三班", "three shifts"),
    "continuous": ("连续生产", "continuous operation"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftParameters:
    """Permille of the profile's highest slot, hours of the day, percent of the median day."""

    continuous_from_permille: int = 800
    """A load that never falls below this share of its highest runs without shifts."""
    working_from_permille: int = 500
    """An interval is worked in when it lies this far between the lowest and the highest."""
    one_shift_hours: int = 10
    two_shift_hours: int = 18
    shutdown_below_percent: int = 40


DEFAULT = ShiftParameters()


def shift_of(*, profile_wh: Sequence[int], parameters: ShiftParameters = DEFAULT) -> Shift | None:
    """From the energy of each slot of the day, summed over a month; None where nothing was used."""
    highest, lowest = max(profile_wh, default=0), min(profile_wh, default=0)
    if highest <= 0:
        return None
    if 1000 * lowest >= parameters.continuous_from_permille * highest:
        return "continuous"
    border = parameters.working_from_permille * (highest - lowest)
    worked = sum(1000 * (wh - lowest) >= border for wh in profile_wh)
    hours_of = len(profile_wh)
    if worked * 24 <= parameters.one_shift_hours * hours_of:
        return "one"
    return "two" if worked * 24 <= parameters.two_shift_hours * hours_of else "three"


def shifts_of(
    *, profiles_wh: NDArray[np.int64], step_minutes: NDArray[np.int64], parameters: ShiftParameters = DEFAULT
) -> NDArray[np.int8]:
    """`shift_of` for rows of WIDTH slots, the rest of a longer step being empty: indexes of SHIFTS, -1 for None."""
    slots = 1440 // step_minutes
    there = np.arange(WIDTH)[None, :] < slots[:, None]
    highest = np.where(there, profiles_wh, -(2**62)).max(axis=1)
    lowest = np.where(there, profiles_wh, 2**53).min(axis=1)
    border = parameters.working_from_permille * (highest - lowest)
    worked = ((1000 * (profiles_wh - lowest[:, None]) >= border[:, None]) & there).sum(axis=1)
    found = np.full(len(profiles_wh), SHIFTS.index("three"), np.int8)
    found[worked * 24 <= parameters.two_shift_hours * slots] = SHIFTS.index("two")
    found[worked * 24 <= parameters.one_shift_hours * slots] = SHIFTS.index("one")
    found[1000 * lowest >= parameters.continuous_from_permille * highest] = SHIFTS.index("continuous")
    found[highest <= 0] = -1
    return found


def shutdown_days(*, day_totals_wh: Sequence[int | None], parameters: ShiftParameters = DEFAULT) -> tuple[int, ...]:
    """Positions of the days that used less than a share of the median day; None stands for a day not wholly known."""
    known = sorted(wh for wh in day_totals_wh if wh is not None)
    if not known:
        return ()
    twice_median = known[(len(known) - 1) // 2] + known[len(known) // 2]
    return tuple(
        position
        for position, wh in enumerate(day_totals_wh)
        if wh is not None and 200 * wh < parameters.shutdown_below_percent * twice_median
    )
