"""The class rules over the whole population as columns; equal to `classes.classify` customer by customer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.portrait.rules.classes import ClassName, ClassRules

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_PERCENTILES = {
    "contribution_kwh_at_least": "avg_monthly_kwh",
    "contribution_bill_yuan_at_least": "avg_monthly_bill_yuan",
    "service_rate_at_least": "monthly_service_rate",
    "complaint_rate_at_least": "complaint_rate",
}
"""Threshold -> indicator whose top share it cuts off."""
STANDARDISED = ("supply_nature_score", "avg_monthly_kwh", "monthly_service_rate", "kwh_growth_rate", "complaint_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """One entry per customer in each column; NaN where an indicator has no value."""

    columns: Mapping[str, Floats]
    dual_supply: Flags
    capacity_application: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenBorders:
    customers: int
    thresholds: Mapping[str, float]
    population: Mapping[str, tuple[float, float]]


def memberships(*, population: Population, rules: ClassRules) -> dict[ClassName, Flags]:
    """Which customers each class holds. A comparison with NaN is false, as a missing value meets no threshold."""
    c = population.columns
    penalty_known = ~np.isnan(c["penalty_bill_share"])
    clean = (c["violation_index"] <= rules.clean_violation_index_at_most) & (
        (c["penalty_bill_share"] <= rules.clean_penalty_share_at_most) | ~penalty_known
    )
    large = (c["avg_monthly_kwh"] >= rules.contribution_kwh_at_least) | (
        c["avg_monthly_bill_yuan"] >= rules.contribution_bill_yuan_at_least
    )
    return {
        "high-reliability": (c["supply_nature_score"] >= rules.supply_nature_at_least) | population.dual_supply,
        "high-contribution": large & clean,
        "high-service": (c["monthly_service_rate"] >= rules.service_rate_at_least)
        | (c["complaint_rate"] >= rules.complaint_rate_at_least),
        "high-potential": (c["kwh_growth_rate"] >= rules.growth_at_least) | population.capacity_application,
    }


def freeze_borders(*, population: Population, top_share: float) -> FrozenBorders:
    """The month's percentile borders and the mean and deviation of each standardised indicator.

    A border is a value that occurs: the smallest one that at most `top_share` of the known customers exceed. One that
    is not positive cuts nothing off (most customers never complain) and is left out, as is an indicator nobody has.
    """
    thresholds = {}
    for name, code in _PERCENTILES.items():
        known = _known(population.columns[code])
        border = float(np.quantile(known, 1 - top_share, method="higher")) if known.size else 0.0
        if border > 0:
            thresholds[name] = border
    spread = {}
    for code in STANDARDISED:
        known = _known(on_scale(code, population.columns[code]))
        if known.size:
            spread[code] = (float(known.mean()), float(known.std()))
    return FrozenBorders(customers=int(population.dual_supply.size), thresholds=thresholds, population=spread)


def on_scale(code: str, values: Floats) -> Floats:
    """Energies are compared by their logarithm; 1 kWh and less count as 0."""
    return np.log10(np.maximum(values, 1.0)) if code == "avg_monthly_kwh" else values


def standardised(*, population: Population, rules: ClassRules) -> dict[str, Floats]:
    """z by indicator; 0, the population's mean, where there is no value or no spread."""
    result = {}
    for code in STANDARDISED:
        mean, deviation = rules.population.get(code, (0.0, 0.0))
        values = population.columns[code]
        if deviation <= 0:
            result[code] = np.zeros(values.shape)
        else:
            result[code] = np.nan_to_num((on_scale(code, values) - mean) / deviation, nan=0.0)
    return result


def target_scores(*, population: Population, rules: ClassRules, weights: Mapping[str, float]) -> Floats:
    """Weighted sum of the standardised indicators 1 to 5, a proposal of the house; complaints weigh against."""
    z = standardised(population=population, rules=rules)
    total = np.zeros(population.dual_supply.shape)
    for code, weight in weights.items():
        total += weight * z[code]
    return total


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]
