"""The basic charge of the two-part tariff (基本电费, 容(需)量电费): methods, excess, 40 % floor, 260 kWh/kVA.

Two readings of the excess formula exist in the sources, so it is a parameter: A leaves the band up to 105 % free
also when it is exceeded, B charges the band, legacy (before 2016) knows no tolerance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

ExcessMode = Literal["A", "B", "legacy"]
_CENT, _SIX = Decimal("0.01"), Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicChargeRules:
    """One version, in force in [effective_from, effective_to); data/basic_charge_rules.json."""

    version: str
    document: str
    effective_from: date
    effective_to: date | None
    status: str
    free_share: Decimal
    """Share of the contracted demand up to which nothing is added (1.05)."""
    floor_share: Decimal
    """Share of transformers and high-voltage motors below which no demand can be contracted (0.40)."""
    excess_mode: ExcessMode
    utilisation_border_kwh_per_kva: Decimal | None
    """From this use per contracted kVA and month on (inclusive) the demand price is lower; None: no such rule."""
    utilisation_factor: Decimal


def rules_from(document: Mapping[str, Any]) -> list[BasicChargeRules]:
    return [
        BasicChargeRules(
            version=v["version"], document=v["document"], status=v["status"], excess_mode=v["excess_mode"],
            effective_from=date.fromisoformat(v["effective_from"]),
            effective_to=date.fromisoformat(v["effective_to"]) if v["effective_to"] else None,
            free_share=Decimal(v["free_share"]), floor_share=Decimal(v["floor_share"]),
            utilisation_border_kwh_per_kva=_number(v["utilisation_border_kwh_per_kva"]),
            utilisation_factor=Decimal(v["utilisation_factor"]),
        )
        for v in document["versions"]
    ]  # fmt: skip


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def rules_on(day: date, *, versions: Sequence[BasicChargeRules]) -> BasicChargeRules:
    """Raises ValueError when no version is in force."""
    for rules in versions:
        if rules.effective_from <= day and (rules.effective_to is None or day < rules.effective_to):
            return rules
    raise ValueError(f"no rules of the basic charge are in force on {day}")


def contracted_demand_kw(*, contract_kw: Decimal, capacity_kva: Decimal, rules: BasicChargeRules) -> Decimal:
    """An application below the floor is set to the floor."""
    return max(contract_kw, rules.floor_share * capacity_kva)


def free_demand_kw(*, contract_kw: Decimal, capacity_kva: Decimal, rules: BasicChargeRules) -> Decimal:
    """The demand up to which the contracted value is charged and nothing more."""
    return rules.free_share * contracted_demand_kw(contract_kw=contract_kw, capacity_kva=capacity_kva, rules=rules)


def charged_demand_kw(
    *, contract_kw: Decimal, capacity_kva: Decimal, maximum_kw: Decimal, rules: BasicChargeRules
) -> Decimal:
    """kW that are paid at the demand price; the excess counts twice (加一倍收取)."""
    contracted = contracted_demand_kw(contract_kw=contract_kw, capacity_kva=capacity_kva, rules=rules)
    free = rules.free_share * contracted
    if rules.excess_mode == "legacy":
        return contracted + 2 * max(maximum_kw - contracted, Decimal(0))
    if maximum_kw <= free:
        return contracted
    return (contracted if rules.excess_mode == "A" else free) + 2 * (maximum_kw - free)


def demand_price_factor(*, energy_kwh: Decimal, contract_kva: Decimal, rules: BasicChargeRules) -> Decimal:
    border = rules.utilisation_border_kwh_per_kva
    reached = border is not None and energy_kwh >= border * contract_kva
    return rules.utilisation_factor if reached else Decimal(1)


def capacity_charge_yuan(*, capacity_kva: Decimal, capacity_price_yuan: Decimal) -> Decimal:
    return _money(capacity_kva * capacity_price_yuan)


def demand_charge_yuan(
    *, charged_kw: Decimal, demand_price_yuan: Decimal, energy_kwh: Decimal, contract_kva: Decimal,
    rules: BasicChargeRules,
) -> Decimal:  # fmt: skip
    """For both demand methods; `charged_kw` is the actual maximum, or what charged_demand_kw gives."""
    factor = demand_price_factor(energy_kwh=energy_kwh, contract_kva=contract_kva, rules=rules)
    return _money(charged_kw.quantize(_SIX) * demand_price_yuan * factor)


def break_even_demand_kw(
    *, capacity_kva: Decimal, capacity_price_yuan: Decimal, demand_price_yuan: Decimal, factor: Decimal = Decimal(1)
) -> Decimal:
    """The actual demand at which both methods cost the same; below it the demand method is cheaper."""
    return capacity_kva * capacity_price_yuan / (demand_price_yuan * factor)


def best_contract_kw(*, peak_kw: Decimal, capacity_kva: Decimal, rules: BasicChargeRules) -> Decimal:
    """The cheapest contracted demand for a known peak, in reading A."""
    return max(peak_kw / rules.free_share, rules.floor_share * capacity_kva)


def part_month_yuan(*, full_month_yuan: Decimal, days: int, days_of_month: int, on: date) -> Decimal:
    """New, increased, changed and ended supply. A day of less than 24 h counts as one.

    供电营业规则: a thirtieth per day before 2024-06-01 (1996 rules, section 84), since then by the calendar days.
    """
    basis = 30 if on < date(2024, 6, 1) else days_of_month
    return _money(full_month_yuan * days / basis)


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
