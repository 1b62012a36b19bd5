"""Indicators of a period's load curve: domain formulas of load rate, peak-valley difference and shares.

Sums of fractions are taken one after the other in the order of days or months, so that the same figure comes out of
these scalars and of the arrays of many customers (month_arrays.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import MISSING, slots_per_day
from services.portrait.rules.measured import Measured, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Energy per interval, one row per local day, Wh; MISSING where nothing was reported."""

    energy_wh: NDArray[np.int64]
    step_minutes: int

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.not_equal(self.energy_wh, MISSING)

    @property
    def total_wh(self) -> int:
        return int(self.energy_wh[self.present].sum())

    @property
    def maximum_demand_kw(self) -> float | None:
        """Highest mean power of an interval. Meters form demand in a sliding window, so theirs may be higher."""
        if not self.present.any():
            return None
        return float(self.energy_wh.max()) * 60 / self.step_minutes / 1000


def data_completeness(*, curve: Curve) -> Measured:
    """Intervals received of intervals expected."""
    expected = len(curve.energy_wh) * slots_per_day(step_minutes=curve.step_minutes)
    return ratio(int(curve.present.sum()), expected, otherwise="no-data")


def load_factor(*, curve: Curve) -> Measured:
    """Mean load over highest load (负荷率) of the whole period, of the intervals that are there."""
    present = curve.present
    if not present.any():
        return Measured.missing("no-data")
    return ratio(curve.total_wh / int(present.sum()), float(curve.energy_wh.max()), otherwise="zero-peak")


def peak_valley_difference_rate(*, curve: Curve) -> Measured:
    """(P_max - P_min) / P_max (峰谷差率) per day, averaged over the days that have all their intervals.

    The extremes of a whole month would measure its holidays, so the day is the unit.
    """
    whole = curve.energy_wh[curve.present.all(axis=1)]
    if not len(whole):
        return Measured.missing("no-data")
    highest, lowest = whole.max(axis=1), whole.min(axis=1)
    running = highest > 0
    if not running.any():
        return Measured.missing("zero-peak")
    rates = (highest[running] - lowest[running]) / highest[running]
    return Measured(in_order(rates.tolist()) / len(rates))


def period_share(*, curve: Curve, periods: NDArray[np.uint8], wanted: frozenset[int]) -> Measured:
    """Share of the energy in the wanted tariff periods, such as valley and deep valley (谷电占比).

    `periods` has the shape of the curve and holds a period code per interval (time_of_use.PERIODS).
    """
    present = curve.present
    if not present.any():
        return Measured.missing("no-data")
    chosen = np.isin(periods, list(wanted)) & present
    return ratio(float(curve.energy_wh[chosen].sum()), float(curve.total_wh), otherwise="zero-energy")


def kwh_per_kva(*, total_wh: int, contract_kva: float | None) -> Measured:
    """Energy of all metering points of the month per contracted kVA (每月每千伏安用电量)."""
    if not contract_kva:
        return Measured.missing("no-capacity")
    return Measured(total_wh / 1000 / contract_kva)


def transformer_utilization(
    *, maximum_demand_kw: float | None, power_factor: Measured, operating_kva: float | None
) -> Measured:
    """P_max / (S * pf) (变压器利用率): the highest apparent power over the capacity in operation."""
    if maximum_demand_kw is None:
        return Measured.missing("no-data")
    if not operating_kva:
        return Measured.missing("no-capacity")
    if not power_factor.value:
        return Measured.missing(power_factor.reason or "zero-energy")
    return Measured(maximum_demand_kw / (operating_kva * power_factor.value))


def demand_cv(*, monthly_maximum_kw: Sequence[float | None]) -> Measured:
    """Standard deviation over mean of twelve monthly maxima, oldest first (最大需量稳定度); all twelve are needed."""
    months = [kw for kw in monthly_maximum_kw[-12:] if kw is not None]
    if len(months) < 12:
        return Measured.missing("fewer-than-12-months")
    mean = in_order(months) / 12
    if mean <= 0:
        return Measured.missing("zero-peak")
    return Measured(sqrt(in_order([(kw - mean) * (kw - mean) for kw in months]) / 12) / mean)


def in_order(values: Sequence[float]) -> float:
    """The sum from left to right; the built-in one corrects its rounding in newer versions of the language."""
    total = 0.0
    for value in values:
        total += value
    return total


def demand_ratio(*, maximum_demand_kw: float | None, contract_demand_kw: float | None) -> Measured:
    """Highest demand over contracted demand; up to 1.05 is free of the double price."""
    if maximum_demand_kw is None:
        return Measured.missing("no-data")
    return ratio(maximum_demand_kw, contract_demand_kw or 0.0, otherwise="no-contract-demand")
