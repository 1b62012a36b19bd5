"""Bodies of the templates' routes."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.notify.templates.texts import Wording


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewWording(_Body):
    channel: Literal["wechat", "sms", "mail", "wecom", "inbox"]
    language: Literal["zh", "en"]
    wording: Wording


class TemplateVersion(_Body):
    template_key: UUID
    event_class: str
    channel: str
    language: str
    number: int
    wording: dict[str, Any]
    entered_by: str
    entered_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


class ShippedWording(_Body):
    """What holds where no version is confirmed."""

    channel: str
    language: str
    wording: Wording


class TemplateVersions(_Body):
    """`shipped_as` is a digest of all that is shipped: it changes when a release words anything anew."""

    facts: Annotated[dict[str, str], Field(description="what a wording may name, with its type")]
    items: list[TemplateVersion]
    shipped_as: str
    shipped: list[ShippedWording]


class Shown(_Body):
    """One rendering; `sms_segments` where it would go out as a text message."""

    channel: str
    language: str
    sample: str
    title: str
    body: str
    template_id: str
    fields: dict[str, str]
    sms_length: int | None
    sms_segments: int | None
    problems: list[str]


class Preview(_Body):
    event_class: str
    items: list[Shown]


class TrialSent(_Body):
    happening: str
