"""Bodies of the routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.contracts.envelope import Id, Text


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InboxItem(_Body):
    delivery_id: UUID
    event_class: str
    subject_id: str
    title: str
    body: str
    account_ids: list[str]
    channel: str
    state: str
    created_at: datetime


class Inbox(_Body):
    items: list[InboxItem]


class DeliveryItem(InboxItem):
    """Who was told what. `reason` says why a channel failed."""

    person_id: str
    customer_id: str
    reason: str | None
    attempts: int
    event_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None


class Deliveries(_Body):
    items: list[DeliveryItem]


class ContactOfMine(_Body):
    kind: str
    masked: str
    usable: bool


class EngagementOfMine(_Body):
    customer_id: str
    role: str
    account_ids: list[str]
    valid_from: datetime
    valid_to: datetime | None


class Me(_Body):
    person_id: str
    name: str
    language: str
    contacts: list[ContactOfMine]
    engagements: list[EngagementOfMine]
    roles: list[str]


class NewTicket(_Body):
    customer_id: Id
    kind: Literal[
        "complaint", "report", "opinion", "suggestion", "praise", "service-request", "fault-repair", "consultation"
    ]
    channel: Literal["95598", "12345", "12398", "wechat", "app", "desk"]
    words: Text = ""


class Ticket(_Body):
    ticket_id: UUID
    customer_id: str
    kind: str
    channel: str
    opened_at: datetime
    closed_at: datetime | None


class WechatBinding(_Body):
    openid: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{6,64}$"), Field(description="of this account")]
