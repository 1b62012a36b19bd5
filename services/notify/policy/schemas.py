"""Bodies of the policy's routes."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PolicyEntry(_Body):
    version: UUID
    valid_from: date
    entered_by: str
    entered_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


class Policies(_Body):
    in_force: str
    items: list[PolicyEntry]


class PolicyDocument(_Body):
    version: str
    document: dict[str, Any]


class ReasonText(_Body):
    code: str
    zh: str
    en: str


class Sent(_Body):
    """What became of it, per channel."""

    channel: str
    state: str
    reason: str | None
    created_at: datetime


class WhyLine(_Body):
    person_id: str
    customer_id: str
    happening: str
    event_class: str
    policy_version: str
    planned_at: datetime
    told: bool
    reasons: list[ReasonText]


class Why(_Body):
    """Without a line the person was nothing to these customers when it was planned."""

    items: list[WhyLine]
    messages: list[Sent]
    not_considered: ReasonText | None


class ChangeLine(_Body):
    happening: str
    person_id: str
    customer_id: str
    before: list[str] | None
    after: list[str] | None


class Difference(_Body):
    """`added` and `dropped` count people who would be told instead of not, and the reverse."""

    happenings: int
    added: int
    dropped: int
    other_channels: int
    items: list[ChangeLine]
