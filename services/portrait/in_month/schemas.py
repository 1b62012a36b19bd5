"""What portrait answers about the current month, and a customer's own thresholds."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.envelope import Day


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WarningLine(_Body):
    """`level` is null when all is well, or when `reason_*` says why nothing can be said. `standing_since` is set
    while people are warned of it."""

    kind: Literal["demand", "power-factor", "utilisation", "deadline"]
    level: str | None
    reason_zh: str | None
    reason_en: str | None
    value: Decimal | None
    limit: Decimal | None
    unit: str
    figures: dict[str, Any]
    standing_since: datetime | None


class ChangeDeadline(_Body):
    """Until `apply_until` a change of the charging method or of the contracted value can be asked for. Provisional
    where the State Council's notice of a year is not known yet and only weekends were counted."""

    change: Literal["method", "value"]
    apply_until: date
    effective_on: date
    working_days_left: int
    provisional: bool


class AccountInMonth(_Body):
    account_id: str
    data_until: datetime | None
    data_age_minutes: int | None
    lines: list[WarningLine]


class InMonth(_Body):
    customer_id: str
    month: str
    rules_version: str | None
    accounts: list[AccountInMonth]
    deadlines: list[ChangeDeadline]


Share = Annotated[Decimal, Field(gt=0, le=2, max_digits=4, decimal_places=3)]


class OwnThresholds(_Body):
    """Only what differs from the general thresholds; from `effective_from` on, until a later row."""

    effective_from: Day
    demand_near_share: Share | None = None
    demand_misfit_share: Share | None = None
    utilisation_near_share: Share | None = None
    deadline_working_days: Annotated[int, Field(ge=0, le=60)] | None = None
    least_days: Annotated[int, Field(ge=1, le=28)] | None = None
    projection: Literal["linear", "by-profile"] | None = None
