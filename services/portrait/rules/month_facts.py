"""What a month of a customer's load leaves behind for its indicators, as one fixed record (ADR 7).

The record keeps what every tariff plan, score scheme and agreement can be applied to later: totals and extremes of
each day and the energy of each slot of the day. Sums are integers, so nothing is lost or rounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import MISSING, WIDTH

DAYS = 31


_HEAD_FIELDS = [
    ("month", "<i4"),  # year * 12 + month - 1
    ("days", "<u2"),
    ("step_minutes", "<u2"),
    ("present", "<i4"),  # intervals in which all usage points were reported
    ("reactive", "<i4"),  # 1 where reactive energy was reported at all
    ("total_wh", "<i8"),  # of the intervals in `present`
    ("maximum_wh", "<i8"),  # highest of them; MISSING without any
    ("energy_wh", "<i8"),  # of all usage points, also where another one lacks the interval
    ("minutes", "<i8"),
    ("expected_minutes", "<i8"),
    ("lagging_varh", "<i8"),
    ("leading_varh", "<i8"),
    ("rates", "<f8"),  # (maximum - minimum) / maximum of each running day, added day after day
    ("running_days", "<u2"),  # days with all intervals and a maximum above zero
    ("whole_days", "<u2"),  # days with all intervals
]
HEAD = np.dtype(_HEAD_FIELDS)
"""What every record begins with."""


def _layout(energy: str, *, days: bool) -> np.dtype[Any]:
    profile: list[Any] = [("profile", energy, WIDTH)]
    of_days: list[Any] = [
        ("day_total", energy, DAYS),
        ("day_maximum", energy, DAYS),
        ("day_minimum", energy, DAYS),
        ("day_present", "u1", DAYS),
        ("spare", "u1"),
    ]
    return np.dtype([*_HEAD_FIELDS, *profile, *(of_days if days else ())])


NARROW, WIDE = _layout("<i4", days=True), _layout("<i8", days=True)
"""A month whose day totals and slot sums fit into 32 bits is stored narrow; the length of the bytes says which."""
SCORED_NARROW, SCORED_WIDE = _layout("<i4", days=False), _layout("<i8", days=False)
"""What the records begin with and scores are computed from; of the length of the record, half need not be read."""
_ENERGIES = ("day_total", "day_maximum", "day_minimum", "profile")

Facts = NDArray[Any]
"""Records of NARROW or WIDE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSums:
    """Per customer: energy and minutes of all usage points, reactive energy and whether any was reported."""

    energy_wh: NDArray[np.int64]
    minutes: NDArray[np.int64]
    expected_minutes: NDArray[np.int64]
    lagging_varh: NDArray[np.int64]
    leading_varh: NDArray[np.int64]
    reactive: NDArray[np.bool_]


def month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def month_facts(*, month: date, step_minutes: int, energy_wh: NDArray[np.signedinteger], sums: MonthSums) -> Facts:
    """WIDE records of many customers' month. `energy_wh` is (customers, days, slots), MISSING where incomplete."""
    customers, days, slots = energy_wh.shape
    present = energy_wh != MISSING
    known = np.where(present, energy_wh, 0)
    day_total, day_maximum, day_present = known.sum(axis=2, dtype=np.int64), energy_wh.max(axis=2), present.sum(axis=2)
    facts = np.zeros(customers, WIDE)
    facts["month"], facts["days"], facts["step_minutes"] = month_index(month), days, step_minutes
    facts["present"] = day_present.sum(axis=1)
    facts["total_wh"] = day_total.sum(axis=1)
    facts["maximum_wh"] = day_maximum.max(axis=1)  # MISSING is the smallest number there is
    facts["day_total"][:, :days] = day_total
    facts["day_maximum"][:, :days] = day_maximum
    facts["day_minimum"][:, :days] = np.where(present, energy_wh, np.iinfo(energy_wh.dtype).max).min(axis=2)
    facts["day_minimum"][:, :days][day_present == 0] = MISSING
    facts["day_present"][:, :days] = day_present
    facts["profile"][:, :slots] = known.sum(axis=1, dtype=np.int64)
    whole = day_present == slots
    running = whole & (day_maximum > 0)
    highest, lowest = day_maximum.astype(np.float64), facts["day_minimum"][:, :days].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(running, (highest - lowest) / highest, 0.0)
    facts["rates"] = np.add.accumulate(rates, axis=1)[:, -1]  # `sum` would add in another order
    facts["running_days"], facts["whole_days"] = running.sum(axis=1), whole.sum(axis=1)
    for name in MonthSums.__dataclass_fields__:
        facts[name] = getattr(sums, name)
    return facts


def encode(facts: Facts) -> list[bytes]:
    """The bytes of each WIDE record, in the narrow form where it fits."""
    limit = 2**31
    fits = np.ones(len(facts), bool)
    for name in _ENERGIES:
        fits &= (facts[name].max(axis=1) < limit) & (facts[name].min(axis=1) >= -limit)
    narrow = facts.astype(NARROW)
    return [(narrow[i] if fit else facts[i]).tobytes() for i, fit in enumerate(fits.tolist())]


def decode(cells: Sequence[bytes]) -> Facts:
    """The record of each cell: NARROW if all of them are, else WIDE. Raises ValueError on bytes of another length."""
    return _decode(cells, NARROW, WIDE)


def decode_scored(cells: Sequence[bytes]) -> Facts:
    """The same of cells cut to SCORED_NARROW and SCORED_WIDE."""
    return _decode(cells, SCORED_NARROW, SCORED_WIDE)


def _decode(cells: Sequence[bytes], narrow: np.dtype[Any], wide: np.dtype[Any]) -> Facts:
    if set(map(len, cells)) <= {narrow.itemsize}:
        return np.frombuffer(b"".join(cells), narrow)
    is_wide = np.fromiter((len(cell) != narrow.itemsize for cell in cells), bool, len(cells))
    facts = np.empty(len(cells), wide)
    for layout, chosen in ((narrow, ~is_wide), (wide, is_wide)):
        joined = b"".join(cell for cell, there in zip(cells, chosen.tolist(), strict=True) if there)
        facts[chosen] = np.frombuffer(joined, layout).astype(wide)
    return facts
