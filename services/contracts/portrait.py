"""What portrait says: the archive for the others, scores, classes, advice."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from services.contracts.envelope import Event, Id, Instant, Kva, Kw, Label, Part, Version, Yuan
from services.contracts.marketing import ImportanceGrade

FourHighClass = Literal["high-reliability", "high-contribution", "high-service", "high-potential"]
Band = Literal["A", "B", "C", "D", "E"]
INTERNAL: dict[str, Any] = {"x-internal": True}
"""Marks what no customer route may show."""


class ProfileAccount(Part):
    account_id: Id
    service_area_id: Id
    contract_capacity_kva: Kva
    voltage_kv: Annotated[Decimal, Field(gt=0, le=1000)]
    importance_grade: ImportanceGrade
    dual_supply: bool
    industry_class: Annotated[str, Field(pattern=r"^([A-T]\d{0,4})?$", description="GB/T 4754")] = ""


class ProfileSite(Part):
    site_id: Id
    name: Label
    asset_ids: Annotated[tuple[Id, ...], Field(max_length=200)] = ()


class ProfileUsagePoint(Part):
    usage_point_id: Id
    account_id: Id
    site_id: Id
    feeder_ids: Annotated[tuple[Id, ...], Field(max_length=8)] = ()


class CustomerProfileChanged(Event):
    """All that inspection, outage and notify need of a customer; the only source of that state."""

    TYPE = "keyline.portrait.customer-profile-changed.v1"
    TITLE_ZH = "客户画像已变更"
    TOPIC = "portrait-customers"
    KEY = "customer_id"
    DELIVERY = "state"

    customer_id: Id
    version: Version
    name: Label
    key_account: bool
    accounts: Annotated[tuple[ProfileAccount, ...], Field(max_length=500)]
    sites: Annotated[tuple[ProfileSite, ...], Field(max_length=500)]
    usage_points: Annotated[tuple[ProfileUsagePoint, ...], Field(max_length=2000)]
    importance_grade: ImportanceGrade
    mean_load_kw: Kw | None = None
    classes: Annotated[tuple[FourHighClass, ...], Field(max_length=4, json_schema_extra=INTERNAL)] = ()
    primary_class: Annotated[FourHighClass | None, Field(json_schema_extra=INTERNAL)] = None
    attention_level: Annotated[int, Field(ge=0, le=3, json_schema_extra=INTERNAL)] = 0
    attention_reasons: Annotated[tuple[Label, ...], Field(max_length=20, json_schema_extra=INTERNAL)] = ()
    cycle_factor: Annotated[Decimal, Field(ge=0, le=1, json_schema_extra=INTERNAL)] = Decimal(1)


class SubScore(Part):
    indicator: Id
    value: float | None
    points: Annotated[float, Field(ge=0, le=100)] | None
    reason: Label | None = None


class EfficiencyScored(Event):
    TYPE = "keyline.portrait.efficiency-scored.v1"
    TITLE_ZH = "能效评分已完成"
    TOPIC = "portrait-scores"
    KEY = "customer_id"

    customer_id: Id
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    run_id: Id
    score: Annotated[float, Field(ge=0, le=100)] | None
    band: Band | None
    previous_band: Band | None = None
    not_scored_because: Label | None = None
    sub_scores: Annotated[tuple[SubScore, ...], Field(max_length=30)]
    weakest: Annotated[tuple[Id, ...], Field(max_length=3)] = ()


class ScoreDisputed(Event):
    """A customer disputes a score; the event carries what it was made of. Its words are said in the conversation."""

    TYPE = "keyline.portrait.score-disputed.v1"
    TITLE_ZH = "客户对评分提出异议"
    TOPIC = "portrait-scores"
    KEY = "customer_id"

    customer_id: Id
    dispute_id: Id
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    run_id: Id
    ground: Literal["wrong-data", "wrong-capacity", "wrong-shift", "wrong-peers", "other"]
    indicators: Annotated[tuple[Id, ...], Field(max_length=10)] = ()
    score: Annotated[float, Field(ge=0, le=100)] | None
    band: Band | None
    not_scored_because: Label | None = None
    sub_scores: Annotated[tuple[SubScore, ...], Field(max_length=30)]
    scheme_version: Label
    disputed_by: Id
    disputed_at: Instant


class CustomerReclassified(Event):
    """A notification for the account manager, not a state. Internal."""

    TYPE = "keyline.portrait.customer-reclassified.v1"
    TITLE_ZH = "客户分类已调整"
    TOPIC = "portrait-scores"
    KEY = "customer_id"

    customer_id: Id
    profile_version: Version
    classes_before: tuple[FourHighClass, ...]
    classes_after: tuple[FourHighClass, ...]
    attention_before: Annotated[int, Field(ge=0, le=3)]
    attention_after: Annotated[int, Field(ge=0, le=3)]
    reasons: Annotated[tuple[Label, ...], Field(max_length=20)]
    occurred_at: Instant


class MonthlyUsageComputed(Event):
    TYPE = "keyline.portrait.monthly-usage-computed.v1"
    TITLE_ZH = "月度用电已统计"
    TOPIC = "portrait-usage"
    KEY = "customer_id"

    customer_id: Id
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    revision: Annotated[int, Field(ge=0)]
    energy_kwh: Kw
    mean_load_kw: Kw
    completeness: Annotated[float, Field(ge=0, le=1)]


class AdviceIssued(Event):
    TYPE = "keyline.portrait.advice-issued.v1"
    TITLE_ZH = "用能建议已出具"
    TOPIC = "portrait-advice"
    KEY = "customer_id"

    customer_id: Id
    advice_id: Id
    saving_yuan_per_month: Yuan
    apply_until: date | None = None


class OfferChosen(Event):
    TYPE = "keyline.portrait.offer-chosen.v1"
    TITLE_ZH = "用能方案已选定"
    TOPIC = "portrait-advice"
    KEY = "customer_id"

    customer_id: Id
    advice_id: Id
    offer_id: Id
    chosen_by: Id
    chosen_at: Instant


class CustomerAssigned(Event):
    """A customer was handed to a person for a purpose, one of many in a bulk assignment. Internal."""

    TYPE = "keyline.portrait.customer-assigned.v1"
    TITLE_ZH = "客户任务已指派"
    TOPIC = "portrait-advice"
    KEY = "customer_id"

    customer_id: Id
    assignment_id: Id
    assignee_person_id: Id
    purpose: Literal["visit", "advice", "inspection-support", "training", "other"]
    due_on: date
    assigned_by: Id
    occurred_at: Instant


WarningKind = Literal["demand", "power-factor", "utilisation", "deadline"]


class UsageWarningRaised(Event):
    """Something of the current month can still be changed, or no longer. A worse level is told under the same id
    with a higher ordinal. `value` and `limit` in `unit`; power factors have none."""

    TYPE = "keyline.portrait.usage-warning-raised.v1"
    TITLE_ZH = "用电预警已发出"
    TOPIC = "portrait-advice"
    KEY = "customer_id"

    customer_id: Id
    account_id: Id
    warning_id: Id
    ordinal: Annotated[int, Field(ge=1)]
    warning_kind: WarningKind
    level: Literal["near", "exceeded", "recoverable", "lost", "off-track", "due"]
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    value: Kw
    limit: Kw
    unit: Literal["kW", "", "kWh/kVA", "working days"]
    recoverable_kvarh: Annotated[Decimal, Field(ge=0)] | None = None
    apply_until: date | None = None
    data_until: Instant | None = None
    raised_at: Instant


class UsageWarningCleared(Event):
    TYPE = "keyline.portrait.usage-warning-cleared.v1"
    TITLE_ZH = "用电预警已解除"
    TOPIC = "portrait-advice"
    KEY = "customer_id"

    customer_id: Id
    account_id: Id
    warning_id: Id
    warning_kind: WarningKind
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    because: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    cleared_at: Instant


EVENTS: tuple[type[Event], ...] = (
    CustomerProfileChanged, EfficiencyScored, ScoreDisputed, CustomerReclassified, MonthlyUsageComputed, AdviceIssued,
    OfferChosen, CustomerAssigned, UsageWarningRaised, UsageWarningCleared,
)  # fmt: skip
