"""What a weak point costs in yuan a month, where the prices are known; else which one is missing.

Estimates beside the score, by the no-investment formulas of the trade; no bill is computed here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from services.portrait.rules.efficiency_score import ScoreScheme
from services.portrait.rules.power_factor import adjustment_hundredths_percent

GOOD = 90.0
"""Sub-score from which a point is no longer weak; the target of the saving."""

PRICES: dict[str, tuple[str, str]] = {
    "peak_yuan_per_kwh": ("峰段电价", "the peak price"),
    "flat_yuan_per_kwh": ("平段电价", "the flat price"),
    "valley_yuan_per_kwh": ("谷段电价", "the valley price"),
    "demand_yuan_per_kw": ("需量电价", "the demand price"),
    "capacity_yuan_per_kva": ("容量电价", "the capacity price"),
    "adjustable_bill_yuan": ("参与力率调整的电费", "the part of the bill that the power factor adjusts"),
    "power_factor_standard": ("功率因数考核标准", "the power factor standard"),
}
Prices = Mapping[str, Decimal]


class PriceMissing(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthUse:
    """`value` is the weak indicator's, `target` the one with the sub-score GOOD."""

    value: float
    target: float
    energy_kwh: Decimal
    maximum_kw: Decimal
    contract_kva: Decimal
    operating_kva: Decimal
    contract_demand_kw: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPointValue:
    """Exactly one of the three is given: a saving, the price that is missing, or that there is no formula."""

    saving_yuan_per_month: Decimal | None = None
    missing_price: str | None = None
    no_formula: bool = False


def weak_point_value(*, code: str, use: MonthUse, prices: Prices) -> WeakPointValue:
    formula = _FORMULAS.get(code)
    if formula is None:
        return WeakPointValue(no_formula=True)
    try:
        saving = formula(use, lambda name: _price(prices, name))
    except PriceMissing as missing:
        return WeakPointValue(missing_price=missing.name)
    return WeakPointValue(saving_yuan_per_month=max(saving, Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def target_of(*, code: str, value: float, scheme: ScoreScheme) -> float:
    """The value nearest to `value` whose sub-score is GOOD; `value` itself where the function never gets there."""
    points = next(i.points for i in scheme.indicators if i.code == code)
    crossings = [
        x0 + (x1 - x0) * (GOOD - y0) / (y1 - y0)
        for (x0, y0), (x1, y1) in pairwise(points)
        if y0 != y1 and min(y0, y1) <= GOOD <= max(y0, y1)
    ]
    return min(crossings, key=lambda x: abs(x - value), default=value)


_Asking = Callable[[str], Decimal]


def _price(prices: Prices, name: str) -> Decimal:
    if name not in prices:
        raise PriceMissing(name)
    return prices[name]


def _number(value: float) -> Decimal:
    return Decimal(str(value))


def _into_valley(use: MonthUse, price: _Asking) -> Decimal:
    moved = use.energy_kwh * _number(abs(use.target - use.value))
    return moved * (price("peak_yuan_per_kwh") - price("valley_yuan_per_kwh"))


def _out_of_peak(use: MonthUse, price: _Asking) -> Decimal:
    moved = use.energy_kwh * _number(abs(use.value - use.target))
    return moved * (price("peak_yuan_per_kwh") - price("flat_yuan_per_kwh"))


def _lower_peak(use: MonthUse, price: _Asking) -> Decimal:
    """The same energy at the target load factor needs a lower maximum."""
    if use.target <= 0:
        return Decimal(0)
    lower = use.maximum_kw * (1 - _number(use.value) / _number(use.target))
    return lower * price("demand_yuan_per_kw")


def _power_factor(use: MonthUse, price: _Asking) -> Decimal:
    standard = int(price("power_factor_standard") * 100)
    now, then = (
        adjustment_hundredths_percent(power_factor_hundredths=round(pf * 100), standard_hundredths=standard)
        for pf in (use.value, use.target)
    )
    return price("adjustable_bill_yuan") * (now - then) / 10_000


def _demand(use: MonthUse, price: _Asking) -> Decimal:
    """Above 1.05 of the contract the excess costs double; below, the contract is paid though it is not used."""
    free = use.contract_demand_kw * Decimal("1.05")
    if use.maximum_kw > free:
        return (use.maximum_kw - free) * price("demand_yuan_per_kw")
    return (use.contract_demand_kw - use.maximum_kw / Decimal("1.05")) * price("demand_yuan_per_kw")


def _kwh_per_kva(use: MonthUse, price: _Asking) -> Decimal:
    """From 260 kWh/kVA on the demand price is charged at 90 %."""
    if use.value >= 260:
        return Decimal(0)
    return use.maximum_kw * price("demand_yuan_per_kw") / 10


def _capacity(use: MonthUse, price: _Asking) -> Decimal:
    """Capacity that could be out of operation at the target utilisation."""
    if use.target <= 0 or use.value >= use.target:
        return Decimal(0)
    spare = use.operating_kva * (1 - _number(use.value) / _number(use.target))
    return spare * price("capacity_yuan_per_kva")


_FORMULAS: dict[str, Callable[[MonthUse, _Asking], Decimal]] = {
    "load_factor": _lower_peak,
    "valley_share": _into_valley,
    "peak_share": _out_of_peak,
    "power_factor": _power_factor,
    "demand_ratio": _demand,
    "kwh_per_kva": _kwh_per_kva,
    "transformer_utilization": _capacity,
}
