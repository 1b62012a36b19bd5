"""Bodies of the routes about messages."""

from datetime import datetime, time
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from services.contracts.envelope import Id, Label, Text


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TimelineLine(_Row):
    """`reason` says why an attempt failed, or which rule kept the message back."""

    at: datetime
    delivery_id: UUID
    channel: str
    what: str
    reason: str | None
    provider: str | None
    provider_message_id: str | None


class Timeline(_Body):
    lines: list[TimelineLine]


class Circuit(_Row):
    """`template` empty: the provider as a whole."""

    provider: str
    template: str
    open: bool
    failures: int
    reason: str | None
    opened_at: datetime | None
    probe_at: datetime | None


class Circuits(_Body):
    items: list[Circuit]


class CloseCircuit(_Body):
    template: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, StringConstraints(min_length=3, max_length=200)]


class Preference(_Body):
    """`*` stands for all classes or all channels; the closest word counts."""

    event_class: Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z-]{1,39})$")] = "*"
    channel: Literal["*", "wechat", "sms", "mail", "wecom"] = "*"
    wanted: bool


class Quiet(_Body):
    zone: Annotated[str, Field(max_length=64)] = "Asia/Shanghai"
    begins: time
    ends: time

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("zone: name an IANA time zone such as Asia/Shanghai") from error
        return zone


class Preferences(_Body):
    words: Annotated[list[Preference], Field(max_length=100)] = []
    quiet: Quiet | None = None


class NoticeLine(_Row):
    customer_id: str
    name: str
    important: bool
    standing: Literal["proven", "pending", "unproven", "late"]
    best: str | None
    suffices: list[str]
    required_by: datetime


class NoticeProof(_Body):
    outage_id: str
    starts_at: datetime
    temporary: bool
    customers: list[NoticeLine]


class PersonToCall(_Body):
    person_id: str
    name: str
    role: str
    phone: str | None


class Call(_Body):
    customer_id: str
    name: str
    important: bool
    required_by: datetime
    people: list[PersonToCall]


class CallList(_Body):
    outage_id: str
    calls: list[Call]


class NewProof(_Body):
    customer_id: Id
    kind: Literal["call", "announcement"]
    person_id: Id | None = None
    words: Text = ""


class Webhook(_Row):
    endpoint_id: str
    customer_id: str
    url: str
    event_classes: list[str]
    active: bool
    created_at: datetime
    rotated_at: datetime | None = None


class WebhookWithSecret(Webhook):
    """The secret is shown this once."""

    secret: str


class Webhooks(_Body):
    items: list[Webhook]


class NewWebhook(_Body):
    customer_id: Id
    url: Annotated[str, StringConstraints(min_length=10, max_length=500)]
    event_classes: Annotated[list[Label], Field(max_length=50)] = []


class NewSecret(_Body):
    secret: str


class Unread(_Body):
    unread: int
