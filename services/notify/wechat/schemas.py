"""What the WeChat routes take and give."""

import json
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReplyIn(_In):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Window(BaseModel):
    """`left` customer-service messages until `closes_at`, opened by what the person did."""

    deed: Literal["message", "menu", "follow", "scan"]
    left: int
    closes_at: datetime


class WrittenReply(BaseModel):
    reply_id: UUID
    window: list[Window]


class Said(BaseModel):
    """`by` is empty for the person's own words. `state` belongs to our answers only."""

    by: str
    at: datetime
    kind: str
    text: str
    state: str | None = None
    reason: str | None = None


class Conversation(BaseModel):
    bound: bool
    following: bool
    windows: list[Window]
    messages: list[Said]


class Invitation(BaseModel):
    link: str = Field(description="to be handed to the person alone; works once")
    expires_at: datetime


class PageSignature(BaseModel):
    app_id: str
    timestamp: int
    nonce: str
    signature: str


def heard(fields: str, *, msg_type: str, at: datetime) -> Said:
    said = json.loads(fields)
    text = said.get("Content") or said.get("Recognition") or said.get("Label") or ""
    return Said(by="", at=at, kind=msg_type, text=text if isinstance(text, str) else "")
