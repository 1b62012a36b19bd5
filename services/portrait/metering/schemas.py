"""What portrait answers about metering: completeness, months, registers against curves."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DayCompleteness(_Answer):
    """Intervals of one usage point, channel and day. `suspect` ones are counted among received or estimated too."""

    usage_point_id: str
    channel: str
    day: date
    step_minutes: int
    expected: int
    received: int
    estimated: int
    missing: int
    suspect: int
    estimate_method: str | None
    estimate_scaled: str | None


class SlotsOfDay(_Answer):
    """Every interval of a day as stored: Wh or varh from local midnight on, null where nothing was reported, with
    the quality that its source or the estimate gave it and the marks of the checks (rules/validation.py)."""

    usage_point_id: str
    channel: str
    step_minutes: int
    energy: list[int | None]
    quality: list[str | None]
    marks: list[list[str]]


class DaySlots(_Answer):
    customer_id: str
    day: date
    blocks: list[SlotsOfDay]


class Completeness(_Answer):
    customer_id: str
    from_day: date
    to_day: date
    expected: int
    received: int
    estimated: int
    missing: int
    suspect: int
    days: list[DayCompleteness]


class UsageRevision(_Answer):
    revision: int
    energy_kwh: Decimal
    completeness: float
    reason: Literal["score-run", "month-close", "late-data"]
    after_close: bool
    changed: dict[str, Any]
    made_at: datetime


class RegisterLine(_Answer):
    """Register against curve of one period, in kWh or kvarh; `difference` is curve minus register."""

    channel: str
    tou_period: str
    register_energy: Decimal | None
    reason_zh: str | None
    reason_en: str | None
    curve_energy: Decimal | None
    difference: Decimal | None
    difference_share: float | None


class PointDemand(_Answer):
    """Maximum demand of one usage point. The meter's own counts; the curve's is too low, since meters slide."""

    demand_kw: Decimal | None
    source: Literal["register", "curve", "none"]
    occurred_at: datetime | None
    curve_demand_kw: Decimal | None


class MeterStep(_Answer):
    meter_id: str
    begin: datetime
    end: datetime
    first: Decimal
    last: Decimal
    multiplier: int
    energy_kwh: Decimal


class PointMonth(_Answer):
    usage_point_id: str
    lines: list[RegisterLine]
    steps: list[MeterStep]
    demand: PointDemand


class CustomerMonth(_Answer):
    """Registers bill, curves analyse: both are shown, with their difference."""

    customer_id: str
    month: str
    closed_at: datetime | None
    revisions: list[UsageRevision]
    demand_kw: Decimal | None
    usage_points: list[PointMonth]


class MonthClosed(_Answer):
    month: str
    closed_at: datetime
    closed_by: str
    finished_at: datetime | None
