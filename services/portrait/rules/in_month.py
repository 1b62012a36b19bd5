"""Warnings while the month can still be changed: demand, power factor, use per kVA, deadlines to change the contract.

Every line has its figures whether it warns or not; a line that cannot be computed names the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal, Self

from services.portrait.rules.basic_charge import BasicChargeRules, charged_demand_kw, free_demand_kw
from services.portrait.rules.power_factor import (
    adjustment_hundredths_percent,
    average_power_factor_hundredths,
    largest_reactive_varh,
)
from services.portrait.rules.projection import Method, Projection
from services.portrait.rules.working_days import Deadline

Kind = Literal["demand", "power-factor", "utilisation", "deadline"]
Level = Literal["near", "exceeded", "recoverable", "lost", "off-track", "due"]
REASONS: dict[str, tuple[str, str]] = {
    "no-data": ("本月尚无数据", "there are no data of this month yet"),
    "too-early": ("本月数据天数不足，暂不预测", "there are too few days of data to project the month"),
    "not-by-contract-demand": ("未按合同最大需量计费", "the account does not pay by contracted demand"),
    "no-contract-demand": ("未约定最大需量", "no maximum demand is contracted"),
    "not-by-demand": ("未按需量计费", "the account does not pay by demand"),
    "no-capacity": ("缺少合同容量", "the contract capacity is not known"),
    "no-rule": ("当前规则没有该项", "the rules in force have no such clause"),
    "no-reactive-energy": ("缺少无功电量", "reactive energy is not measured"),
    "below-assessment-border": ("容量低于功率因数考核范围", "the capacity lies below the power factor assessment"),
    "contract-fits": ("合同最大需量与实际相符", "the contracted demand fits"),
    "month-ended": ("该月已结束", "the month has ended"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningThresholds:
    """Dated parameters; a customer's own rows replace single values. Proposals of this project."""

    version: str
    effective_from: date
    status: str
    demand_near_share: Decimal
    """Of the free demand (105 % of the contracted one)."""
    demand_misfit_share: Decimal
    """Below this share of the contracted demand a lower contract would pay."""
    utilisation_near_share: Decimal
    """From this share of the border on a miss can still be turned; below it nobody is warned."""
    utilisation_clear_share: Decimal
    deadline_working_days: int
    least_days: int
    """Days of data before anything is projected."""
    projection: Method
    power_factor_160_included: bool

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        said = {f.name: document[f.name] for f in fields(cls)}
        shares = {name: Decimal(str(said[name])) for name in said if name.endswith("_share")}
        return cls(**{**said, **shares, "effective_from": date.fromisoformat(document["effective_from"])})

    def with_own(self, own: Mapping[str, Any], *, effective_from: date) -> "WarningThresholds":
        """The same with a customer's own values."""
        values: dict[str, Any] = {k: Decimal(str(v)) if k.endswith("_share") else v for k, v in own.items()}
        return replace(self, version=f"{self.version}+own", effective_from=effective_from, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMonth:
    """One account in its current month; `days_known` are days with any active energy."""

    method: str
    contract_demand_kw: Decimal | None
    capacity_kva: Decimal
    power_factor_standard_hundredths: int | None
    days_known: int
    active_wh: int | None
    active_beside_reactive_wh: int | None
    """Of the intervals whose reactive energy is known too: a power factor of unlike intervals means nothing."""
    lagging_varh: int | None
    leading_varh: int | None
    maximum_kw: Decimal | None
    projection: Projection | None
    value_deadline: Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`level` is None when all is well or, with a `reason`, when the line says nothing.

    `value` and `limit` in `unit`; `figures` are whole or decimal numbers by name, units in the names.
    """

    kind: Kind
    level: Level | None = None
    reason: str | None = None
    value: Decimal | None = None
    limit: Decimal | None = None
    unit: Literal["kW", "", "kWh/kVA", "working days"] = ""
    figures: dict[str, Any]


def assess_month(
    *, account: AccountMonth, rules: BasicChargeRules, thresholds: WarningThresholds, warned: frozenset[Kind]
) -> list[Line]:
    """`warned` are the kinds that stand already: one that stands is cleared only beyond its margin."""
    return [
        _demand(account, rules, thresholds),
        _power_factor(account, thresholds),
        _utilisation(account, rules, thresholds, stands="utilisation" in warned),
        _deadline(account, rules, thresholds),
    ]


def _silent(kind: Kind, reason: str) -> Line:
    assert reason in REASONS, reason
    return Line(kind=kind, reason=reason, figures={})


def _demand(account: AccountMonth, rules: BasicChargeRules, thresholds: WarningThresholds) -> Line:
    if account.method != "contract-demand":
        return _silent("demand", "not-by-contract-demand")
    if account.contract_demand_kw is None:
        return _silent("demand", "no-contract-demand")
    if account.maximum_kw is None:
        return _silent("demand", "no-data")
    terms = {"contract_kw": account.contract_demand_kw, "capacity_kva": account.capacity_kva, "rules": rules}
    free, most = free_demand_kw(**terms), account.maximum_kw  # type: ignore[arg-type]
    level: Level | None = "near" if most >= thresholds.demand_near_share * free else None
    return Line(
        kind="demand", level="exceeded" if most > free else level, value=most, limit=_six(free), unit="kW",
        figures={
            "charged_demand_kw": _six(charged_demand_kw(**terms, maximum_kw=most)),  # type: ignore[arg-type]
            "left_kw": _six(free - most), "excess_mode": rules.excess_mode,
        },
    )  # fmt: skip


def _power_factor(account: AccountMonth, thresholds: WarningThresholds) -> Line:
    standard, wp = account.power_factor_standard_hundredths, account.active_beside_reactive_wh
    if standard is None:
        return _silent("power-factor", "below-assessment-border")
    if account.lagging_varh is None and account.leading_varh is None:
        return _silent("power-factor", "no-reactive-energy")
    if wp is None or wp <= 0:
        return _silent("power-factor", "no-data")
    lagging, leading = account.lagging_varh or 0, account.leading_varh or 0
    reactive = abs(lagging) + abs(leading)
    now = average_power_factor_hundredths(active_wh=wp, forward_varh=lagging, reverse_varh=leading)
    assert now is not None
    projected = account.projection if account.days_known >= thresholds.least_days else None
    whole = projected.total_wh if projected is not None and projected.total_wh > wp else wp
    allowed = largest_reactive_varh(active_wh=whole, standard_hundredths=standard)
    to_come = reactive * (whole - wp) // wp
    over = reactive + to_come - allowed
    level: Level | None = None
    if now < standard:
        # What has been drawn stays drawn: only what is still to come can be compensated.
        level = "recoverable" if reactive <= allowed else "lost"
    return Line(
        kind="power-factor", level=level, value=_hundredths(now), limit=_hundredths(standard), unit="",
        figures={
            "adjustment_percent": _hundredths(
                adjustment_hundredths_percent(power_factor_hundredths=now, standard_hundredths=standard)
            ),
            "reactive_kvarh": _kilo(reactive),
            "over_now_kvarh": _kilo(
                max(0, reactive - largest_reactive_varh(active_wh=wp, standard_hundredths=standard))
            ),
            "allowed_in_rest_kvarh": _kilo(max(0, allowed - reactive)), "expected_in_rest_kvarh": _kilo(to_come),
            "recoverable_kvarh": _kilo(max(0, min(over, to_come))),
        },
    )  # fmt: skip


def _utilisation(
    account: AccountMonth, rules: BasicChargeRules, thresholds: WarningThresholds, *, stands: bool
) -> Line:
    border = rules.utilisation_border_kwh_per_kva
    if border is None:
        return _silent("utilisation", "no-rule")
    if account.method not in ("contract-demand", "actual-demand"):
        return _silent("utilisation", "not-by-demand")
    if account.capacity_kva <= 0:
        return _silent("utilisation", "no-capacity")
    if account.active_wh is None or account.projection is None:
        return _silent("utilisation", "no-data")
    if account.days_known < thresholds.least_days:
        return _silent("utilisation", "too-early")
    projected = Decimal(account.projection.total_wh) / 1000 / account.capacity_kva
    short = border * (thresholds.utilisation_clear_share if stands else 1)
    off = thresholds.utilisation_near_share * border <= projected < short
    missing = border * account.capacity_kva - Decimal(account.active_wh) / 1000
    return Line(
        kind="utilisation", level="off-track" if off else None, value=_cents(projected), limit=border, unit="kWh/kVA",
        figures={
            "on_track": projected >= border, "method": account.projection.method,
            "so_far_kwh_per_kva": _cents(Decimal(account.active_wh) / 1000 / account.capacity_kva),
            "still_needed_kwh": _cents(max(Decimal(0), missing)), "demand_price_factor": rules.utilisation_factor,
        },
    )  # fmt: skip


def _deadline(account: AccountMonth, rules: BasicChargeRules, thresholds: WarningThresholds) -> Line:
    """Only where the contracted demand does not fit: a date alone is no reason to disturb anybody."""
    if account.method != "contract-demand":
        return _silent("deadline", "not-by-contract-demand")
    if account.contract_demand_kw is None:
        return _silent("deadline", "no-contract-demand")
    if account.maximum_kw is None:
        return _silent("deadline", "no-data")
    contract, deadline = account.contract_demand_kw, account.value_deadline
    free = free_demand_kw(contract_kw=contract, capacity_kva=account.capacity_kva, rules=rules)
    at_floor = contract <= rules.floor_share * account.capacity_kva
    too_high = account.days_known >= thresholds.least_days and not at_floor
    too_high = too_high and account.maximum_kw < thresholds.demand_misfit_share * contract
    if not too_high and account.maximum_kw <= free:
        return _silent("deadline", "contract-fits")
    due = deadline.working_days_left <= thresholds.deadline_working_days
    return Line(
        kind="deadline", level="due" if due else None, value=Decimal(deadline.working_days_left),
        limit=Decimal(thresholds.deadline_working_days), unit="working days",
        figures={
            "apply_until": deadline.apply_until.isoformat(), "effective_on": deadline.effective_on.isoformat(),
            "provisional": deadline.provisional, "contract_demand_kw": contract, "maximum_kw": account.maximum_kw,
        },
    )  # fmt: skip


def _six(kw: Decimal) -> Decimal:
    return kw.quantize(Decimal("0.000001"), ROUND_HALF_UP)


def _cents(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _hundredths(number: int) -> Decimal:
    return Decimal(number) / 100


def _kilo(number: int) -> Decimal:
    return Decimal(number) / 1000
