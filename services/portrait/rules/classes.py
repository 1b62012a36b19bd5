"""The four "high" classes (四高) by dated thresholds. Each membership explains itself; several may hold at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from services.portrait.rules.measured import Measured
from services.portrait.rules.portrait_indicators import on_log_scale

ClassName = Literal["high-reliability", "high-contribution", "high-service", "high-potential"]
CLASS_NAMES: dict[ClassName, str] = {
    "high-reliability": "高可靠性",
    "high-contribution": "高贡献度",
    "high-service": "高服务需求",
    "high-potential": "高潜力",
}

CRITERION_NAMES: dict[str, tuple[str, str]] = {
    "supply_nature_score": ("用电性质", "nature of use"),
    "dual_supply": ("双电源", "dual supply"),
    "avg_monthly_kwh": ("月均电量 kWh", "mean monthly kWh"),
    "avg_monthly_bill_yuan": ("月均电费 元", "mean monthly bill in yuan"),
    "violation_index": ("违约用电、窃电", "breaches and thefts"),
    "penalty_bill_share": ("累计违约电费占比", "penalties' share of bills"),
    "monthly_service_rate": ("月服务率", "monthly service rate"),
    "complaint_rate": ("投诉率", "complaint rate"),
    "kwh_growth_rate": ("电量增长率", "growth"),
    "capacity_application_within_12_months": ("十二个月内增容申请", "application for capacity in twelve months"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRules:
    """One version of the thresholds, in force in [effective_from, effective_to).

    The percentiles and the population's mean and deviation are frozen once a month, so that one event moves one
    customer and an immediate result equals a full one.
    """

    version: str
    effective_from: date
    effective_to: date | None
    status: str
    supply_nature_at_least: float
    growth_at_least: float
    contribution_kwh_at_least: float
    contribution_bill_yuan_at_least: float
    service_rate_at_least: float
    complaint_rate_at_least: float
    clean_violation_index_at_most: float
    clean_penalty_share_at_most: float
    population: Mapping[str, tuple[float, float]]
    """Indicator -> mean and standard deviation; `avg_monthly_kwh` on the log scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFacts:
    """What the classes look at. `indicators` holds the seven by their codes."""

    indicators: Mapping[str, Measured]
    dual_supply: bool
    capacity_application_within_12_months: bool
    avg_monthly_bill_yuan: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One comparison that was made: `margin` is positive as far as it holds, None if there was no value."""

    code: str
    value: float | bool | None
    threshold: float | bool
    holds: bool
    margin: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    name: ClassName
    holds: bool
    strength: float
    """Standard deviations above the population's mean of the deciding indicator; orders the classes."""
    criteria: tuple[Criterion, ...]
    rule_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    verdicts: tuple[Verdict, ...]
    """All four, also those that do not hold."""
    primary: ClassName | None

    @property
    def classes(self) -> frozenset[ClassName]:
        return frozenset(v.name for v in self.verdicts if v.holds)


def classify(*, facts: CustomerFacts, rules: ClassRules) -> Classification:
    """Every class with its reasons; the primary one is the strongest that holds, the earlier named if equal."""
    verdicts = (
        _high_reliability(facts, rules),
        _high_contribution(facts, rules),
        _high_service(facts, rules),
        _high_potential(facts, rules),
    )
    held = [v for v in verdicts if v.holds]
    primary = max(held, key=lambda v: v.strength).name if held else None
    return Classification(verdicts=verdicts, primary=primary)


def _high_reliability(facts: CustomerFacts, rules: ClassRules) -> Verdict:
    nature = _at_least(facts, "supply_nature_score", rules.supply_nature_at_least)
    dual = _flag("dual_supply", facts.dual_supply)
    return Verdict(
        name="high-reliability",
        holds=nature.holds or dual.holds,
        strength=_strength(facts, rules, "supply_nature_score"),
        criteria=(nature, dual),
        rule_version=rules.version,
    )


def _high_contribution(facts: CustomerFacts, rules: ClassRules) -> Verdict:
    energy = _at_least(facts, "avg_monthly_kwh", rules.contribution_kwh_at_least)
    bill_yuan = facts.avg_monthly_bill_yuan
    bill = _compare("avg_monthly_bill_yuan", bill_yuan, rules.contribution_bill_yuan_at_least, at_least=True)
    violations = _at_most(facts, "violation_index", rules.clean_violation_index_at_most)
    penalties = _at_most(facts, "penalty_bill_share", rules.clean_penalty_share_at_most)
    # Without any bill nothing was fined: only a known share above the limit speaks against the customer.
    clean = violations.holds and (penalties.holds or penalties.value is None)
    return Verdict(
        name="high-contribution",
        holds=(energy.holds or bill.holds) and clean,
        strength=_strength(facts, rules, "avg_monthly_kwh"),
        criteria=(energy, bill, violations, penalties),
        rule_version=rules.version,
    )


def _high_service(facts: CustomerFacts, rules: ClassRules) -> Verdict:
    rate = _at_least(facts, "monthly_service_rate", rules.service_rate_at_least)
    complaints = _at_least(facts, "complaint_rate", rules.complaint_rate_at_least)
    return Verdict(
        name="high-service",
        holds=rate.holds or complaints.holds,
        strength=_strength(facts, rules, "monthly_service_rate", "complaint_rate"),
        criteria=(rate, complaints),
        rule_version=rules.version,
    )


def _high_potential(facts: CustomerFacts, rules: ClassRules) -> Verdict:
    growth = _at_least(facts, "kwh_growth_rate", rules.growth_at_least)
    more = _flag("capacity_application_within_12_months", facts.capacity_application_within_12_months)
    return Verdict(
        name="high-potential",
        holds=growth.holds or more.holds,
        strength=_strength(facts, rules, "kwh_growth_rate"),
        criteria=(growth, more),
        rule_version=rules.version,
    )


def _at_least(facts: CustomerFacts, code: str, threshold: float) -> Criterion:
    measured = facts.indicators[code]
    return _compare(code, measured.value, threshold, at_least=True, reason=measured.reason)


def _at_most(facts: CustomerFacts, code: str, threshold: float) -> Criterion:
    measured = facts.indicators[code]
    return _compare(code, measured.value, threshold, at_least=False, reason=measured.reason)


def _compare(
    code: str, value: float | None, threshold: float, *, at_least: bool, reason: str | None = None
) -> Criterion:
    if value is None:
        return Criterion(
            code=code, value=None, threshold=threshold, holds=False, margin=None, reason=reason or "no-bills"
        )
    margin = value - threshold if at_least else threshold - value
    return Criterion(code=code, value=value, threshold=threshold, holds=margin >= 0, margin=margin)


def _flag(code: str, value: bool) -> Criterion:
    return Criterion(code=code, value=value, threshold=True, holds=value, margin=None)


def _strength(facts: CustomerFacts, rules: ClassRules, *deciding: str) -> float:
    return max(_standardised(code, facts.indicators[code], rules) for code in deciding)


def _standardised(code: str, measured: Measured, rules: ClassRules) -> float:
    """z of the value; 0, the population's mean, where there is no value or no spread."""
    mean, deviation = rules.population.get(code, (0.0, 0.0))
    if measured.value is None or deviation <= 0:
        return 0.0
    value = on_log_scale(kwh=measured.value) if code == "avg_monthly_kwh" else measured.value
    return (value - mean) / deviation


def class_rules_from(document: Mapping[str, Any]) -> ClassRules:
    """Read a document such as services/portrait/data/class_rules_demo.json. Raises KeyError or TypeError."""
    until = document["effective_to"]
    return ClassRules(
        version=document["version"],
        status=document["status"],
        effective_from=date.fromisoformat(document["effective_from"]),
        effective_to=date.fromisoformat(until) if until else None,
        population={code: (float(mean), float(dev)) for code, (mean, dev) in document["population"].items()},
        **{name: float(value) for name, value in document["thresholds"].items()},
    )
