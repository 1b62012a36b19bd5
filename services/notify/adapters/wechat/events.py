"""Meaning of the pushed events that change what we know about a delivery or a consent."""

from dataclasses import dataclass
from enum import StrEnum

from services.notify.adapters.wechat.callbacks import Callback, CallbackUnreadable, Node, as_list


class JobOutcome(StrEnum):
    SUCCESS = "success"
    """Reached the WeChat client; says nothing about reading."""
    USER_BLOCK = "user_block"
    SYSTEM_FAILED = "system_failed"
    FREQUENCY_LIMIT = "frequency_limit"
    """Not in the official list, reported since 2021."""
    FAILED_UNKNOWN = "failed_unknown"


_REASONS = {
    "user block": JobOutcome.USER_BLOCK,
    "system failed": JobOutcome.SYSTEM_FAILED,
    "freq limit": JobOutcome.FREQUENCY_LIMIT,
}


@dataclass(frozen=True, slots=True)
class JobFinished:
    """TEMPLATESENDJOBFINISH. `msgid` is the number that the send call answered; the event may come before it."""

    openid: str
    msgid: int
    outcome: JobOutcome
    status: str


@dataclass(frozen=True, slots=True)
class SubscriptionEntry:
    """One line of a subscribe_msg_* event; fields that the event does not carry are empty."""

    template_id: str
    choice: str
    """accept or reject; empty in a sent event"""
    msgid: str
    error_code: str
    error_status: str


def job_outcome(*, status: str) -> JobOutcome:
    """Any unknown text is `FAILED_UNKNOWN`, never an error: WeChat adds reasons without notice."""
    result, _, reason = status.partition(":")
    if result.strip() == "success":
        return JobOutcome.SUCCESS
    return _REASONS.get(" ".join(reason.split()).lower(), JobOutcome.FAILED_UNKNOWN)


def job_finished(*, callback: Callback) -> JobFinished:
    """Raises `CallbackUnreadable` if MsgID is no number."""
    msgid = callback.text("MsgID")
    if not (msgid.isascii() and msgid.isdigit() and len(msgid) <= 19):
        raise CallbackUnreadable("MsgID is no number")
    status = callback.text("Status")
    return JobFinished(callback.openid, int(msgid), job_outcome(status=status), status)


_SUBSCRIPTION_WRAPPERS = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")


def subscription_entries(*, callback: Callback) -> list[SubscriptionEntry]:
    """Entries of any subscribe_msg_* event.

    XML wraps them in an element named after the event (the popup's name has been seen around a change event too);
    JSON has `List` at the root.
    """
    entries = as_list(callback.fields.get("List"))
    for wrapper in _SUBSCRIPTION_WRAPPERS:
        for node in as_list(callback.fields.get(wrapper)):
            if isinstance(node, dict):
                entries = entries + as_list(node.get("List"))

    return [_entry(node) for node in entries if isinstance(node, dict)]


def _entry(node: dict[str, Node]) -> SubscriptionEntry:
    def leaf(name: str) -> str:
        value = node.get(name, "")
        return value if isinstance(value, str) else ""

    return SubscriptionEntry(
        template_id=leaf("TemplateId"),
        choice=leaf("SubscribeStatusString"),
        msgid=leaf("MsgID"),
        error_code=leaf("ErrorCode"),
        error_status=leaf("ErrorStatus"),
    )
