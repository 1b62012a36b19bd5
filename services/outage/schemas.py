"""What the API takes and gives. Classes and attention are internal and appear in no answer here."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.envelope import Instant


class OutageSummary(BaseModel):
    outage_id: str
    fault_id: str
    feeder_id: str
    cause: str
    status: Literal["open", "restored"]
    detected_at: datetime
    expected_at: datetime | None
    restored_at: datetime | None
    affected_points: Annotated[int, Field(description="usage points within the caller's scope")]


class AffectedPoint(BaseModel):
    """`lost_at` and `back_at` are the meter's own last words."""

    usage_point_id: str
    account_id: str
    customer_id: str
    lost_at: datetime | None
    back_at: datetime | None


class Notice(BaseModel):
    """Who was told of the outage, over which channel, and when it was accepted and delivered."""

    customer_id: str
    person_id: str
    cause_type: str
    channel: str
    accepted_at: datetime | None
    delivered_at: datetime | None


class OutageDetail(OutageSummary):
    affected: list[AffectedPoint]
    notices: list[Notice]


class Estimate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    expected_at: Instant


class Accepted(BaseModel):
    outage_id: str


class CustomerOutages(BaseModel):
    """Fault outages of the customer; `recent_*` count those of the repeat window up to now."""

    customer_id: str
    recent_days: int
    recent_count: int
    recent_hours: float
    outages: list[OutageSummary]


class Reliability(BaseModel):
    """Indices over the users within the caller's scope; null where there is no user."""

    month: str
    unit: Literal["customer", "mv_user"]
    users: int
    user_hours: float | None = None
    interruptions: int | None = None
    saidi_hours: float | None = None
    saifi: float | None = None
    caidi_hours: float | None = None
    asai: float | None = None
