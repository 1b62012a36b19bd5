"""What the conversation's routes take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.contracts.envelope import Id
from services.notify.conversation.threads import Topic

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
State = Literal["open", "closed"]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class QuestionIn(_In):
    customer_id: Id
    topic: Topic
    text: Words


class WordsIn(_In):
    text: Words


class HandOverIn(_In):
    to_person_id: Id


class RatingIn(_In):
    satisfied: bool


class Receipt(BaseModel):
    """`manager` promises the first reply before `promised_at`; empty: the service desk."""

    conversation_id: UUID
    message_id: UUID
    manager: str
    promised_at: datetime | None


class WrittenAnswer(BaseModel):
    message_id: UUID


class OpenedTicket(BaseModel):
    ticket_id: UUID


class Thread(BaseModel):
    """As the customer sees it. `waits_until`: when the answer is promised; null when no question waits."""

    conversation_id: UUID
    customer_id: str
    topic: str
    state: State
    opened_at: datetime
    waits_until: datetime | None
    ticket_id: UUID | None
    closed_at: datetime | None
    outcome: str | None


class ThreadOfStaff(Thread):
    """`level`: 0 the manager was asked, 1 the deputy, 2 the team leader, 3 the desk."""

    person_id: str
    owner_id: str | None
    asked_ids: list[str]
    level: int
    waiting_since: datetime | None
    overdue: bool
    first_answered_at: datetime | None


class Threads(BaseModel):
    items: list[Thread]


class ThreadsOfStaff(BaseModel):
    items: list[ThreadOfStaff]


class Message(BaseModel):
    """`text` is empty for a photo, and for words of a person who was erased."""

    message_id: UUID
    kind: str
    by_customer: bool
    at: datetime
    text: str
    has_photo: bool


class MessageOfStaff(Message):
    author_id: str
    channel: str


class Room(BaseModel):
    """How many WeChat messages the person still allows, until when; 0: the next answer goes by another channel."""

    left: int
    closes_at: datetime | None


class Read(Thread):
    messages: list[Message]


class ReadByStaff(ThreadOfStaff):
    wechat: Room
    attached: dict[str, Any] | None = Field(description="the score that is doubted")
    messages: list[MessageOfStaff]
