"""Bodies of the class routes. Everything here is internal to the company."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.envelope import Day
from services.portrait.rules.classes import ClassName

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=-1, le=1)]
Spread = tuple[float, Annotated[float, Field(ge=0)]]
Nature = Annotated[str, Field(min_length=1, max_length=40)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Thresholds(_Body):
    """In the units of the indicators; the four that are percentiles hold until the first month is frozen."""

    supply_nature_at_least: Annotated[float, Field(ge=0, le=100)]
    growth_at_least: Annotated[float, Field(ge=-1, le=100)]
    contribution_kwh_at_least: Annotated[float, Field(gt=0)]
    contribution_bill_yuan_at_least: Annotated[float, Field(gt=0)]
    service_rate_at_least: Annotated[float, Field(gt=0)]
    complaint_rate_at_least: Annotated[float, Field(gt=0, le=1)]
    clean_violation_index_at_most: Annotated[float, Field(ge=0)]
    clean_penalty_share_at_most: Share


class OtherThresholds(_Body):
    """What differs in a what-if; the others stay as in force."""

    supply_nature_at_least: Annotated[float, Field(ge=0, le=100)] | None = None
    growth_at_least: Annotated[float, Field(ge=-1, le=100)] | None = None
    contribution_kwh_at_least: Annotated[float, Field(gt=0)] | None = None
    contribution_bill_yuan_at_least: Annotated[float, Field(gt=0)] | None = None
    service_rate_at_least: Annotated[float, Field(gt=0)] | None = None
    complaint_rate_at_least: Annotated[float, Field(gt=0, le=1)] | None = None
    clean_violation_index_at_most: Annotated[float, Field(ge=0)] | None = None
    clean_penalty_share_at_most: Share | None = None


class Percentiles(_Body):
    top_share: Annotated[float, Field(gt=0, lt=1)]
    customers_at_least: Annotated[int, Field(ge=8, le=1_000_000)]
    note: Annotated[str, Field(max_length=500)] = ""


class AttentionParameters(_Body):
    critical_hazard: Annotated[int, Field(ge=0, le=3)]
    serious_hazard: Annotated[int, Field(ge=0, le=3)]
    overdue_hazard: Annotated[int, Field(ge=0, le=3)]
    repeated_faults: Annotated[int, Field(ge=0, le=3)]
    planned_quota: Annotated[int, Field(ge=0, le=3)]
    fault_window_days: Annotated[int, Field(ge=1, le=366)]
    faults_at_least: Annotated[int, Field(ge=1, le=100)]
    fault_hours_at_least: Annotated[float, Field(gt=0, le=1000)]
    complaint_window_days: Annotated[int, Field(ge=1, le=366)]
    violation_window_months: Annotated[int, Field(ge=1, le=120)]
    high_reliability_factor: Share
    level_factors: tuple[Share, Share, Share, Share]


class PlannedOutageQuotas(_Body):
    status: Literal["confirmed", "needs_verification"]
    note: Annotated[str, Field(max_length=500)] = ""
    at_least_kv: Annotated[tuple[tuple[float, int], ...], Field(max_length=10)]


class Targets(_Body):
    top_share: Annotated[float, Field(gt=0, lt=1)]
    weights: Annotated[dict[str, Weight], Field(min_length=1, max_length=5)]
    theft_veto_months: Annotated[int, Field(ge=1, le=120)]


class ClassRulesDocument(_Body):
    """One version of the class rules; the form of data/class_rules_demo.json."""

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,30}$")]
    status: Literal["confirmed", "needs_verification", "demo"]
    note: Annotated[str, Field(max_length=500)]
    effective_from: Day
    effective_to: Day | None = None
    thresholds: Thresholds
    population: Annotated[dict[str, Spread], Field(max_length=10)]
    supply_nature_scores: Annotated[dict[Nature, Annotated[float, Field(ge=0, le=100)]], Field(max_length=40)]
    percentiles: Percentiles
    attention: AttentionParameters
    planned_outages_per_year: PlannedOutageQuotas
    targets: Targets


class RulesLine(_Body):
    version: str
    effective_from: date
    note: str
    entered_by: str
    entered_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


class RulesInForceSaid(_Body):
    version: str
    document: dict[str, Any]
    entered: list[RulesLine]


class Turned(_Body):
    code: str
    value_before: float | bool | None
    value: float | bool | None
    threshold_before: float | bool | None
    threshold: float | bool
    holds: bool


class MembershipChange(_Body):
    """An entry into a class or a departure, and the criteria that turned."""

    class_name: str
    entered: bool
    at: datetime
    profile_version: int
    rule_version: str
    because: list[Turned]


class TargetCustomer(_Body):
    customer_id: str
    name: str
    target_score: float
    vetoes: list[str]
    vetoes_zh: list[str]
    vetoes_en: list[str]


class TargetList(_Body):
    """The top share of the customers without a veto; vetoed ones of that rank stand apart with their reasons."""

    rule_version: str
    customers: int
    listed: list[TargetCustomer]
    vetoed: list[TargetCustomer]


class SegmentsAsked(_Body):
    """Analysis beside the rules, never instead of them: labels are not stable from month to month."""

    fewest: Annotated[int, Field(ge=2, le=12)] = 2
    most: Annotated[int, Field(ge=2, le=12)] = 8
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 20260101


class AnalysisAsked(_Body):
    run_id: str


class AnalysisRun(_Body):
    run_id: str
    kind: str
    parameters: dict[str, Any]
    requested_at: datetime
    finished_at: datetime | None
    result: dict[str, Any] | None


class AnalysisLine(_Body):
    customer_id: str
    classes_before: list[ClassName]
    classes_after: list[ClassName]
    segment: int | None


class AnalysisLines(_Body):
    items: list[AnalysisLine]
    next_after: str | None
