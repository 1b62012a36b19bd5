"""What the routes about personal data take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.notify.wechat.schemas import Said

Kind = Literal["copy", "correction", "erasure"]


class RequestIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind
    words: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)] | None = None


class Request(BaseModel):
    request_id: UUID
    kind: Kind
    asked_at: datetime
    due_at: datetime


class OpenRequest(Request):
    person_id: str
    overdue: bool


class Requests(BaseModel):
    items: list[OpenRequest]


class CopiedContact(BaseModel):
    kind: str
    source: str
    value: str
    said_at: datetime
    confirmed_at: datetime | None


class Purpose(BaseModel):
    what_zh: str
    what_en: str
    purpose: str
    basis: str
    retention: str


class PersonalCopy(BaseModel):
    person_id: str
    name: str
    language: str
    contacts: list[CopiedContact]
    engagements: list[dict[str, Any]]
    preferences: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    conversation: list[Said]
    talks: list[Said] = Field(description="conversations with the account manager, on every channel")
    purposes: list[Purpose]
