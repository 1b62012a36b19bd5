"""What portrait's API answers. A customer's own view and the staff's are two models: nothing internal can slip over.

Rule internal-figures-stay-inside: 分类、关注、违约与投诉数据不对客户展示。A customer sees nothing internal.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomerLine(_Answer):
    customer_id: str
    name: str
    key_account: bool
    importance_grade: str
    classes: list[str]
    attention_level: int


class CustomerPage(_Answer):
    items: list[CustomerLine]
    next_after: str | None


class AccountLine(_Answer):
    account_id: str
    service_area_id: str
    contract_capacity_kva: Decimal
    voltage_kv: Decimal


class SubScore(_Answer):
    """`value` in the indicator's own unit, `points` 0..100; `reason_*` where there is no value."""

    indicator: str
    value: float | None
    points: float | None
    reason_zh: str | None
    reason_en: str | None


class Score(_Answer):
    """`scored_at` is when the run that made it became the result."""

    month: str
    run_id: str
    score: float | None
    band: str | None
    not_scored_because_zh: str | None
    not_scored_because_en: str | None
    sub_scores: list[SubScore]
    weakest: list[str]
    scored_at: datetime


class PortraitIndicator(_Answer):
    """One of the seven. `value` is null exactly when a reason is given; `completeness` is data months of expected ones
    (accounts with terms, for the nature of use). Internal."""

    code: str
    number: int
    name_zh: str
    name_en: str
    value: float | None
    unit: str
    reason_zh: str | None
    reason_en: str | None
    formula_zh: str
    formula_en: str
    window_from: date
    window_to: date
    sources: list[str]
    larger_is: str
    completeness: float
    data_months: int
    expected_months: int


class CustomerForItself(_Answer):
    """What a customer's people see of their own customer."""

    customer_id: str
    name: str
    accounts: list[AccountLine]
    score: Score | None


class CustomerForStaff(_Answer):
    """Internal: with classes, attention and the reasons for both."""

    customer_id: str
    name: str
    accounts: list[AccountLine]
    score: Score | None
    key_account: bool
    importance_grade: str
    version: int
    classes: list[str]
    primary_class: str | None
    attention_level: int
    attention_reasons: list[str]
    cycle_factor: Decimal
    explanation: dict[str, Any]


class PointCurve(_Answer):
    """Energy per interval in Wh from local midnight on; null where nothing was reported."""

    usage_point_id: str
    step_minutes: int
    energy_wh: list[int | None]


class DayCurves(_Answer):
    customer_id: str
    day: date
    curves: list[PointCurve]


class RunRequested(_Answer):
    run_id: str
    month: str
