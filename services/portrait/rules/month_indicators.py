"""The scored indicators of one customer's month, each by its own rule; month_arrays.py says the same of many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules import load_indicators as rules
from services.portrait.rules.load_indicators import Curve
from services.portrait.rules.measured import Measured
from services.portrait.rules.power_factor import average_power_factor_hundredths
from services.portrait.rules.time_of_use import PEAK, VALLEY

SCORED = (
    "load_factor",
    "peak_valley_diff_rate",
    "valley_share",
    "peak_share",
    "power_factor",
    "transformer_utilization",
    "kwh_per_kva",
    "demand_ratio",
    "demand_cv",
)
"""In the order in which they are stored; new ones are appended, none ever moves."""

NOT_AVAILABLE: Mapping[str, str] = {
    "internal_loss_rate": "no-submetering",
    "unit_consumption": "no-output",
    "avg_price": "price-is-no-measure",
    "current_unbalance": "no-phase-currents",
    "voltage_unbalance": "no-phase-voltages",
    "thd_u": "no-harmonics",
}
"""Indicators of the index system that are never computed, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthOfCustomer:
    """`periods` has the shape of the curve. Reactive energy is None where it is not metered."""

    curve: Curve
    periods: NDArray[np.uint8]
    energy_wh: int
    reactive_varh: tuple[int, int] | None
    """Lagging (forward) and leading (reverse)."""
    contract_kva: float
    operating_kva: float
    contract_demand_kw: float
    monthly_maximum_kw: Sequence[float | None]
    """Of the twelve months that end with this one, oldest first."""


def month_indicators(month: MonthOfCustomer) -> tuple[dict[str, Measured], Measured]:
    """Values by the codes of SCORED, and how complete the month is."""
    curve, demand_kw = month.curve, month.curve.maximum_demand_kw
    factor = power_factor(active_wh=month.energy_wh, reactive_varh=month.reactive_varh)
    values = {
        "load_factor": rules.load_factor(curve=curve),
        "peak_valley_diff_rate": rules.peak_valley_difference_rate(curve=curve),
        "valley_share": rules.period_share(curve=curve, periods=month.periods, wanted=VALLEY),
        "peak_share": rules.period_share(curve=curve, periods=month.periods, wanted=PEAK),
        "power_factor": factor,
        "transformer_utilization": rules.transformer_utilization(
            maximum_demand_kw=demand_kw, power_factor=factor, operating_kva=month.operating_kva or None
        ),
        "kwh_per_kva": rules.kwh_per_kva(total_wh=month.energy_wh, contract_kva=month.contract_kva or None),
        "demand_ratio": rules.demand_ratio(
            maximum_demand_kw=demand_kw, contract_demand_kw=month.contract_demand_kw or None
        ),
        "demand_cv": rules.demand_cv(monthly_maximum_kw=month.monthly_maximum_kw),
    }
    return values, rules.data_completeness(curve=curve)


def power_factor(*, active_wh: int, reactive_varh: tuple[int, int] | None) -> Measured:
    """The month's average power factor to two decimals, as the bill takes it (rules/power_factor.py)."""
    if reactive_varh is None:
        return Measured.missing("no-reactive-energy")
    hundredths = average_power_factor_hundredths(
        active_wh=active_wh, forward_varh=reactive_varh[0], reverse_varh=reactive_varh[1]
    )
    return Measured(hundredths / 100) if hundredths is not None else Measured.missing("zero-energy")
