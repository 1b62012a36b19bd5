"""What notify says: the directory without phone numbers, proof of messages, conversations, tickets."""

from typing import Annotated, Literal

from pydantic import Field

from services.contracts.envelope import Event, Id, Instant, Label, Part, Version


class AccessGrant(Part):
    """A person may act in `role` over an owner's (customer's) rows, an area's, or all, in `[valid_from, valid_to)`."""

    person_id: Id
    role: Id
    scope_kind: Literal["everything", "owner", "area"]
    scope_id: Annotated[str, Field(max_length=64)]
    valid_from: Instant
    valid_to: Instant | None = None
    acting_for: Id | None = None


class PostAssigned(Event):
    """A post with its holders and deputies, expanded to the units below it."""

    TYPE = "keyline.notify.post-assigned.v1"
    TITLE_ZH = "岗位授权已变更"
    TOPIC = "notify-directory"
    KEY = "post_id"
    KEY_PREFIX = "post:"
    DELIVERY = "state"

    post_id: Id
    version: Version
    grants: Annotated[tuple[AccessGrant, ...], Field(max_length=2000)]


class EngagementsChanged(Event):
    """What a customer's person may do, for all customers they work for."""

    TYPE = "keyline.notify.engagements-changed.v1"
    TITLE_ZH = "客户人员授权已变更"
    TOPIC = "notify-directory"
    KEY = "person_id"
    KEY_PREFIX = "person:"
    DELIVERY = "state"

    person_id: Id
    version: Version
    grants: Annotated[tuple[AccessGrant, ...], Field(max_length=2000)]


class _Delivery(Event):
    """One message to one person; `cause_*` name the event that made it."""

    TOPIC = "notify-deliveries"
    KEY = "customer_id"

    customer_id: Id
    delivery_id: Id
    cause_type: Label
    cause_id: Label
    subject_id: Id
    person_id: Id
    account_ids: Annotated[tuple[Id, ...], Field(max_length=500)] = ()
    channel: Literal["wechat", "sms", "mail", "wecom", "webhook", "inbox"]
    occurred_at: Instant


class MessageAccepted(_Delivery):
    TYPE = "keyline.notify.message-accepted.v1"
    TITLE_ZH = "消息已受理"


class MessageDelivered(_Delivery):
    TYPE = "keyline.notify.message-delivered.v1"
    TITLE_ZH = "消息已送达"


class MessageOpened(_Delivery):
    TYPE = "keyline.notify.message-opened.v1"
    TITLE_ZH = "消息已打开"


class MessageAcknowledged(_Delivery):
    TYPE = "keyline.notify.message-acknowledged.v1"
    TITLE_ZH = "消息已确认"


class MessageFailed(_Delivery):
    TYPE = "keyline.notify.message-failed.v1"
    TITLE_ZH = "消息发送失败"

    reason: Label


class _PlannedNotice(Event):
    """Of a planned outage to one customer; `required_by` is the start less the lead time the law wants.

    `plan_version`: of the plan that the customer does or does not know; what was proven of another window counts not.
    """

    TOPIC = "notify-deliveries"
    KEY = "customer_id"

    customer_id: Id
    outage_id: Id
    plan_version: Version | None = None
    occurred_at: Instant


class PlannedNoticeUnproven(_PlannedNotice):
    """Blocks the plan: nobody can show that the customer knows."""

    TYPE = "keyline.notify.planned-notice-unproven.v1"
    TITLE_ZH = "计划停电告知未获证明"

    important: bool
    required_by: Instant


class PlannedNoticeProven(_PlannedNotice):
    """`in_time` false: the customer knows, but learned it too late for the announced start."""

    TYPE = "keyline.notify.planned-notice-proven.v1"
    TITLE_ZH = "计划停电告知已获证明"

    level: Literal["accepted", "delivered", "opened", "acknowledged", "announced", "call-recorded"]
    in_time: bool


class _Conversation(Event):
    TOPIC = "notify-conversations"
    KEY = "customer_id"

    customer_id: Id
    conversation_id: Id
    occurred_at: Instant


class ConversationOpened(_Conversation):
    TYPE = "keyline.notify.conversation-opened.v1"
    TITLE_ZH = "会话已发起"


class ConversationAnswered(_Conversation):
    TYPE = "keyline.notify.conversation-answered.v1"
    TITLE_ZH = "会话已答复"

    within_promise: bool


class ConversationEscalated(_Conversation):
    TYPE = "keyline.notify.conversation-escalated.v1"
    TITLE_ZH = "会话已升级"

    level: Annotated[int, Field(ge=1, le=5)]


class ConversationClosed(_Conversation):
    TYPE = "keyline.notify.conversation-closed.v1"
    TITLE_ZH = "会话已结束"


class _Ticket(Event):
    TOPIC = "notify-tickets"
    KEY = "customer_id"

    customer_id: Id
    ticket_id: Id
    kind: Literal[
        "complaint", "report", "opinion", "suggestion", "praise", "service-request", "fault-repair", "consultation"
    ]
    channel: Literal["95598", "12345", "12398", "wechat", "app", "desk"]
    occurred_at: Instant


class TicketOpened(_Ticket):
    TYPE = "keyline.notify.ticket-opened.v1"
    TITLE_ZH = "工单已受理"


class TicketClosed(_Ticket):
    TYPE = "keyline.notify.ticket-closed.v1"
    TITLE_ZH = "工单已办结"


EVENTS: tuple[type[Event], ...] = (
    PostAssigned, EngagementsChanged, MessageAccepted, MessageDelivered, MessageOpened, MessageAcknowledged,
    MessageFailed, PlannedNoticeUnproven, PlannedNoticeProven, ConversationOpened, ConversationAnswered,
    ConversationEscalated, ConversationClosed, TicketOpened, TicketClosed,
)  # fmt: skip
