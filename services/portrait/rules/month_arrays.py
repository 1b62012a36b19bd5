"""The indicators of month_indicators.py for many customers' months at once: the same figures, bit for bit.

Wherever that module divides or adds, this one does so in the same order, so a test can ask for equality.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import MISSING
from services.portrait.rules.measured import REASONS, Measured
from services.portrait.rules.month_facts import Facts
from services.portrait.rules.month_indicators import SCORED, power_factor
from services.portrait.rules.time_of_use import PEAK, VALLEY

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_CODES = {reason: code for code, reason in enumerate(("", *REASONS))}
REASON_NAMES: tuple[str, ...] = tuple(_CODES)
"""Reason codes index this; 0 stands for a value that is there."""


@dataclass(frozen=True, slots=True)
class MeasuredArray:
    """Measured of many: NaN exactly where `reason` is not 0."""

    value: Floats
    reason: NDArray[np.uint8]

    def __getitem__(self, index: int) -> Measured:
        code = int(self.reason[index])
        return Measured(None, REASON_NAMES[code]) if code else Measured(float(self.value[index]))

    def take(self, chosen: NDArray[np.int64]) -> "MeasuredArray":
        return MeasuredArray(self.value[chosen], self.reason[chosen])

    @classmethod
    def of(cls, value: Floats, *refused: tuple[Bools, str]) -> "MeasuredArray":
        """`value`, except where one of `refused` holds; the first that does names the reason."""
        reason = np.zeros(len(value), np.uint8)
        for where, name in refused:
            reason[where & (reason == 0)] = _CODES[name]
        return cls(np.where(reason == 0, value, np.nan), reason)

    def otherwise(self, other: "MeasuredArray") -> "MeasuredArray":
        """This where it has a value, else the other's reason."""
        return MeasuredArray(self.value, np.where(self.reason == 0, other.reason, self.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreements:
    """What holds for each record: capacities in kVA, contracted demand in kW, 0 where there is none."""

    contract_kva: Floats
    operating_kva: Floats
    contract_demand_kw: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthArrays:
    values: Mapping[str, MeasuredArray]
    """By the codes of SCORED."""
    completeness: MeasuredArray


def month_arrays(
    *,
    facts: Facts,
    agreements: Agreements,
    monthly_maximum_kw: Floats,
    slot_periods: Mapping[tuple[int, int], NDArray[np.uint8]],
) -> MonthArrays:
    """`monthly_maximum_kw` is (12, records), oldest first, NaN for a month without data.

    `slot_periods` holds the period code of each slot of the day by (month index, step minutes); the plan must not
    differ between days of a month.
    """
    present = facts["present"].astype(np.int64)
    some = present > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        demand_kw = maximum_kw(facts)
        factor = _power_factor(facts)
        valley, peak = _shares(facts, slot_periods, some)
        mean = facts["total_wh"] / present
        highest = facts["maximum_wh"].astype(np.float64)
        expected = facts["days"].astype(np.int64) * (1440 // facts["step_minutes"].astype(np.int64))
        contract, demand = agreements.contract_kva, agreements.contract_demand_kw
        values = {
            "load_factor": MeasuredArray.of(mean / highest, (~some, "no-data"), (highest <= 0, "zero-peak")),
            "peak_valley_diff_rate": _peak_valley(facts),
            "valley_share": valley,
            "peak_share": peak,
            "power_factor": factor,
            "transformer_utilization": _utilization(demand_kw, factor, agreements.operating_kva, some),
            "kwh_per_kva": MeasuredArray.of(facts["energy_wh"] / 1000 / contract, (contract == 0, "no-capacity")),
            "demand_ratio": MeasuredArray.of(
                demand_kw / demand, (~some, "no-data"), (demand <= 0, "no-contract-demand")
            ),
            "demand_cv": _demand_cv(monthly_maximum_kw),
        }
    assert tuple(values) == SCORED
    return MonthArrays(values=values, completeness=MeasuredArray.of(present / expected))


def maximum_kw(facts: Facts) -> Floats:
    """Highest mean power of an interval; NaN without any."""
    highest = facts["maximum_wh"]
    kw: Floats = highest.astype(np.float64) * 60 / facts["step_minutes"] / 1000
    return np.where(highest == MISSING, np.nan, kw)


def _peak_valley(facts: Facts) -> MeasuredArray:
    days = facts["running_days"].astype(np.int64)
    return MeasuredArray.of(facts["rates"] / days, (facts["whole_days"] == 0, "no-data"), (days == 0, "zero-peak"))


def _shares(
    facts: Facts, slot_periods: Mapping[tuple[int, int], NDArray[np.uint8]], some: Bools
) -> tuple[MeasuredArray, MeasuredArray]:
    sums = np.zeros((2, len(facts)), np.int64)
    for inside, chosen in _alike(facts, slot_periods).items():
        profile = facts["profile"] if len(chosen) == len(facts) else facts["profile"][chosen]
        for row, slots in enumerate(inside):
            sums[row, chosen] = profile[:, list(slots)].sum(axis=1, dtype=np.int64)
    total = facts["total_wh"].astype(np.float64)
    refused = ((~some, "no-data"), (total <= 0, "zero-energy"))
    return MeasuredArray.of(sums[0] / total, *refused), MeasuredArray.of(sums[1] / total, *refused)


def _alike(
    facts: Facts, slot_periods: Mapping[tuple[int, int], NDArray[np.uint8]]
) -> Mapping[tuple[tuple[int, ...], ...], NDArray[np.int64]]:
    """The records whose valley and peak lie in the same slots of the day, by these slots."""
    kind = facts["month"].astype(np.int64) * 2000 + facts["step_minutes"]
    found: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for number in np.unique(kind).tolist():
        codes = slot_periods[divmod(number, 2000)].tolist()
        inside = tuple(tuple(n for n, code in enumerate(codes) if code in wanted) for wanted in (VALLEY, PEAK))
        found.setdefault(inside, []).append(number)
    if len(found) == 1:
        return dict.fromkeys(found, np.arange(len(facts)))
    return {inside: np.flatnonzero(np.isin(kind, numbers)) for inside, numbers in found.items()}


def _power_factor(facts: Facts) -> MeasuredArray:
    active = facts["energy_wh"].astype(np.float64)
    reactive = np.abs(facts["lagging_varh"]).astype(np.float64) + np.abs(facts["leading_varh"])
    twice = 200 * active / np.hypot(active, reactive)
    hundredths = np.floor((np.floor(twice) + 1) / 2)
    metered = facts["reactive"] == 1
    # The rule counts in integers. Where the floats come near a whole number they cannot tell on which side it lies.
    for index in np.flatnonzero(metered & (active > 0) & (np.abs(twice - np.rint(twice)) < 1e-6)).tolist():
        said = (int(facts["lagging_varh"][index]), int(facts["leading_varh"][index]))
        exact = power_factor(active_wh=int(facts["energy_wh"][index]), reactive_varh=said).value
        hundredths[index] = round((exact or 0.0) * 100)
    return MeasuredArray.of(hundredths / 100, (~metered, "no-reactive-energy"), (active <= 0, "zero-energy"))


def _utilization(demand_kw: Floats, factor: MeasuredArray, operating_kva: Floats, some: Bools) -> MeasuredArray:
    share = demand_kw / (operating_kva * factor.value)
    found = MeasuredArray.of(share, (~some, "no-data"), (operating_kva == 0, "no-capacity")).otherwise(factor)
    idle = (found.reason == 0) & (factor.value == 0)
    reason = np.where(idle, np.uint8(_CODES["zero-energy"]), found.reason)
    return MeasuredArray(np.where(idle, np.nan, found.value), reason)


def _demand_cv(monthly_maximum_kw: Floats) -> MeasuredArray:
    total = np.zeros(monthly_maximum_kw.shape[1])
    for month in monthly_maximum_kw:
        total += month
    mean = total / 12
    squares = np.zeros(len(total))
    for month in monthly_maximum_kw:
        squares += (month - mean) * (month - mean)
    few = np.logical_or.reduce(np.isnan(monthly_maximum_kw), axis=0)
    return MeasuredArray.of(np.sqrt(squares / 12) / mean, (few, "fewer-than-12-months"), (mean <= 0, "zero-peak"))
