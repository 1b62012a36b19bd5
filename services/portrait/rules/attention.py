"""The loop: what hazards, outages, complaints, violations and scores change at a customer.

Rule hazard-raises-attention: 未闭环的重大、严重隐患提高关注等级。An open critical hazard counts 3, a serious one 2.
Rule overdue-hazard-raises-attention: 隐患逾期再加一级。An overdue hazard counts 1 more.
Rule repeated-faults-raise-attention: 60 天内两次或累计 4 小时故障停电加一级。Two fault outages in 60 days count 1.
Rule complaint-never-moves-inspection: 投诉只增加服务走访，不改变检查周期。A complaint raises service contact only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

Severity = Literal["critical", "serious", "general"]
InspectionDue = Literal["at-once", "within-30-days"]
LEVEL_NAMES = {0: ("平稳", "calm"), 1: ("关注", "watch"), 2: ("照护", "care"), 3: ("紧急", "urgent")}
_BANDS = "ABCDE"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRules:
    """Dated parameters, entered by the department; the shipped ones are the house's proposal."""

    version: str
    critical_hazard: int
    serious_hazard: int
    overdue_hazard: int
    repeated_faults: int
    planned_quota: int
    fault_window_days: int
    faults_at_least: int
    fault_hours_at_least: float
    complaint_window_days: int
    violation_window_months: int
    high_reliability_factor: float
    level_factors: tuple[float, float, float, float]
    """Share of the grade's inspection cycle by level; 0 means due now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHazard:
    """Neither closed nor voided."""

    severity: Severity
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOutage:
    day: date
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionInputs:
    hazards: Sequence[OpenHazard] = ()
    fault_outages: Sequence[FaultOutage] = ()
    planned_outages: Sequence[date] = ()
    planned_quota: int | None = None
    """Planned outages per calendar year that the grade may see; None where no quota is set."""
    complaints: Sequence[date] = ()
    """Complaints and breached answer times."""
    band: str | None = None
    previous_band: str | None = None
    high_reliability: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    level: int
    reasons: tuple[str, ...]
    """What raised the level, such as `hazard:critical`."""
    cycle_factor: float
    """Of the inspection cycle of the grade; never above 1."""
    inspection_due: InspectionDue | None
    planned_outage_needs_approval: bool
    extra_service_visits: int
    advice_proposed: bool
    tell_manager: bool
    rule_version: str


def attention(*, inputs: AttentionInputs, as_of: date, rules: AttentionRules) -> Attention:
    """The same for any order of the inputs. A complaint raises service contact, never level or inspection cycle."""
    hazard, due = _of_hazards(inputs.hazards, rules)
    outage = _of_outages(inputs, as_of, rules)
    raised = {**hazard, **outage}
    level = min(3, sum(raised.values()))
    factors = [rules.level_factors[level], rules.high_reliability_factor if inputs.high_reliability else 1.0, 1.0]
    complained = any(_within(day, as_of, rules.complaint_window_days) for day in inputs.complaints)
    weak_score = _band_fell(inputs.previous_band, inputs.band) or inputs.band in ("D", "E")
    return Attention(
        level=level,
        reasons=tuple(sorted(raised)),
        cycle_factor=min(factors),
        inspection_due=due,
        planned_outage_needs_approval=bool(outage),
        extra_service_visits=1 if complained else 0,
        advice_proposed=weak_score,
        tell_manager=complained or weak_score or level > 0,
        rule_version=rules.version,
    )


def _of_hazards(hazards: Sequence[OpenHazard], rules: AttentionRules) -> tuple[dict[str, int], InspectionDue | None]:
    raised: dict[str, int] = {}
    due: InspectionDue | None = None
    severities = {h.severity for h in hazards}
    if "critical" in severities:
        raised["hazard:critical"], due = rules.critical_hazard, "at-once"
    elif "serious" in severities:
        raised["hazard:serious"], due = rules.serious_hazard, "within-30-days"
    if any(h.overdue for h in hazards):
        raised["hazard:overdue"] = rules.overdue_hazard
    return raised, due


def _of_outages(inputs: AttentionInputs, as_of: date, rules: AttentionRules) -> dict[str, int]:
    raised: dict[str, int] = {}
    recent = [o for o in inputs.fault_outages if _within(o.day, as_of, rules.fault_window_days)]
    if len(recent) >= rules.faults_at_least or sum(o.hours for o in recent) >= rules.fault_hours_at_least:
        raised["outage:repeated-faults"] = rules.repeated_faults
    planned = sum(day.year == as_of.year for day in inputs.planned_outages)
    if inputs.planned_quota is not None and planned >= inputs.planned_quota:
        raised["outage:planned-quota"] = rules.planned_quota
    return raised


def _within(day: date, as_of: date, days: int) -> bool:
    return as_of - timedelta(days=days) <= day <= as_of


def _band_fell(before: str | None, now: str | None) -> bool:
    return before is not None and now is not None and _BANDS.index(now) > _BANDS.index(before)


def outage_priority(
    *, importance_rank: int, high_reliability: bool, attention_level: int, load_kw: float
) -> tuple[int, int, int, float]:
    """Sorts customers for outage planning, the most to be spared first; rank 1 is the highest importance."""
    return (importance_rank, 0 if high_reliability else 1, -attention_level, -load_kw)


def attention_rules_from(document: Mapping[str, Any]) -> AttentionRules:
    """Read the part `attention` of a document such as data/class_rules_demo.json. Raises KeyError or TypeError."""
    said = dict(document["attention"])
    factors = tuple(float(f) for f in said.pop("level_factors"))
    return AttentionRules(version=document["version"], level_factors=factors, **said)  # type: ignore[arg-type]


def planned_quota_of(*, voltage_kv: float, quotas: Sequence[tuple[float, int]]) -> int | None:
    """Planned outages a year that a customer of this voltage may see; None where no quota is set.

    The numbers come from the 1996 rules article 57 by memory and need verification.
    """
    return next((times for from_kv, times in sorted(quotas, reverse=True) if voltage_kv >= from_kv), None)
