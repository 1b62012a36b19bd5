"""What the routes of planned outages take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.envelope import Id, Instant, Label
from services.outage.rules.starting import Standing


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPlan(_Body):
    feeder_id: Id
    section_ids: Annotated[list[Id], Field(max_length=200, description="empty: the whole feeder")] = []
    starts_at: Instant
    ends_at: Instant
    reason: Label
    temporary: bool = False


class Window(_Body):
    starts_at: Instant
    ends_at: Instant
    reason: Label


class Reason(_Body):
    reason: Label


class PlanSummary(BaseModel):
    """`unproven_customers` counts all whom the plan touches, also those outside the caller's scope."""

    outage_id: str
    version: int
    announced: Annotated[bool, Field(description="this version was said to the customers")]
    status: Literal["accepted", "published", "started", "cancelled"]
    feeder_id: str
    section_ids: list[str]
    starts_at: datetime
    ends_at: datetime
    reason: str
    temporary: bool
    unproven_customers: int
    overridden_at: datetime | None
    started_at: datetime | None


class PlanCustomer(BaseModel):
    """`proven_at` with standing `late`: the customer knows since then, too late for the announced start."""

    customer_id: str
    standing: Standing
    important: bool | None
    required_by: datetime | None
    unproven_at: datetime | None
    proven_at: datetime | None
    level: str | None


class PlanDetail(PlanSummary):
    """`customers` are those within the caller's scope."""

    override_reason: str | None
    customers: list[PlanCustomer]
