"""Bodies of the directory's routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.contracts.envelope import Id, Instant, Label
from services.contracts.marketing import CustomerRole
from services.contracts.organisation import StaffRole

Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{5,20}$")]
Mail = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewColleague(_Body):
    name: Label
    phone: Phone
    email: Mail | None = None
    language: Literal["zh", "en"] = "zh"
    role: CustomerRole
    account_ids: Annotated[list[Id], Field(max_length=500, description="empty: all accounts")] = []
    valid_from: Instant | None = None


class Colleague(_Body):
    person_id: str
    engagement_id: str
    customer_id: str
    account_ids: list[str]
    role: str
    valid_from: datetime
    valid_to: datetime | None
    source: str


class Address(_Body):
    """`in_force` marks the one that is used; `unusable_because` is the provider's reason."""

    kind: str
    source: str
    masked: str
    in_force: bool
    said_at: datetime
    confirmed_at: datetime | None
    unusable_because: str | None


class Person(_Body):
    person_id: str
    name: str
    role: str
    account_ids: list[str]
    source: str
    valid_from: datetime
    valid_to: datetime | None
    contacts: list[Address]


class People(_Body):
    items: list[Person]


class NewContact(_Body):
    kind: Literal["mobile", "mail"]
    value: Annotated[str, StringConstraints(min_length=5, max_length=200)]


class AcceptedArchive(_Body):
    person_id: Id
    kind: Literal["mobile", "mail", "wechat", "wecom"]


class Difference(_Body):
    person_id: str
    kind: str
    archive_value: str
    local_value: str
    source: str
    said_at: datetime
    confirmed_at: datetime | None
    said_by: str


class Differences(_Body):
    items: list[Difference]


class Due(_Body):
    person_id: str
    customer_id: str
    confirmed_at: datetime
    asked_at: datetime | None


class DueList(_Body):
    items: list[Due]


class Confirmed(_Body):
    addresses: int


class Unit(_Body):
    unit_id: str
    name: str
    parent_id: str | None


class Held(_Body):
    person_id: str
    valid_from: datetime
    valid_to: datetime | None
    acting_for: str | None


class Post(_Body):
    post_id: str
    name: str
    unit_id: str
    role: str
    customer_ids: list[str]
    deputies: list[str]
    held_by: list[Held]


class OrganisationView(_Body):
    units: list[Unit]
    posts: list[Post]


class NewLeave(_Body):
    person_id: Id
    starts_at: Instant
    ends_at: Instant
    deputy_id: Id | None = None
    kind: Literal["leave", "sick", "training", "travel"] = "leave"


class OwnLeave(_Body):
    starts_at: Instant
    ends_at: Instant
    deputy_id: Id | None = None
    kind: Literal["leave", "sick", "training", "travel"] = "leave"


class LeaveEntry(_Body):
    leave_id: str
    person_id: str
    starts_at: datetime
    ends_at: datetime
    deputy_id: str | None


class Deputies(_Body):
    person_ids: Annotated[list[Id], Field(max_length=10)]


class NewHandover(_Body):
    from_person_id: Id
    to_person_id: Id
    effective_at: Instant | None = None


class HandoverEntry(_Body):
    handover_id: UUID
    post_id: str
    from_person_id: str
    to_person_id: str
    effective_at: datetime


class NewDuty(_Body):
    unit_id: Id
    person_id: Id
    role: StaffRole
    starts_at: Instant
    ends_at: Instant


class DutyEntry(_Body):
    duty_id: UUID
    unit_id: str
    person_id: str
    role: str
    starts_at: datetime
    ends_at: datetime


class DutyList(_Body):
    working_day: bool
    items: list[DutyEntry]


class Answering(_Body):
    person_id: str
    named: bool
    acting_for: str | None
    away: bool


class OwnedCustomer(_Body):
    """`finding`: nobody, away (only people on leave), several (more than one by name), null when all is well."""

    customer_id: str
    name: str
    finding: str | None
    answering: list[Answering]


class Ownership(_Body):
    items: list[OwnedCustomer]


class Pending(_Body):
    id: str
    what: Literal["ticket", "task", "question"]
    kind: str
    customer_id: str
    opened_at: datetime
    due_at: datetime | None
    acting_for: str | None


class PendingWork(_Body):
    items: list[Pending]
