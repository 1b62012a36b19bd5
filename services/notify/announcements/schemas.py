"""Bodies of the announcements' routes."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.contracts.envelope import Instant, Label
from services.notify.announcements.audience import Audience


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewAnnouncement(_Body):
    kind: Literal["price-policy", "season", "training", "safety", "other"]
    headline: Label
    text: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    audience: Audience
    send_at: Instant
    remind_at: Instant | None = None


class AudienceCount(_Body):
    """`unreachable`: people whom only the inbox reaches."""

    people: int
    customers: int
    by_channel: dict[str, int]
    unreachable: int
    title_zh: str
    body_zh: str


class Announcement(_Body):
    announcement_key: UUID
    kind: str
    headline: str
    text: str
    audience: dict[str, Any]
    state: str
    send_at: datetime
    remind_at: datetime | None
    author: str
    approved_by: str | None
    approved_at: datetime | None
    sent_at: datetime | None
    reminded_at: datetime | None


class Announcements(_Body):
    items: list[Announcement]


class Approved(_Body):
    announcement: Announcement
    listed: int


class Reader(_Body):
    person_id: str
    customer_id: str
    read_at: datetime | None


class ReadProof(_Body):
    """Of those on the frozen list who are in the caller's scope."""

    listed: int
    read: int
    items: Annotated[list[Reader], Field(max_length=20_000)]
