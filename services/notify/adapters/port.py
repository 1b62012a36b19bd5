"""What every channel looks like to the sender: one message out, an acceptance or a failure of one of the kinds back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from services.notify.rules.retries import FailureKind

NO_MEMORY = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message ready to go: the same for every attempt but for `sent_at`; `fields` are those of the template.

    `unsubscribe` is an address for one click, None where the class is mandatory.
    """

    delivery_id: UUID
    message_id: str
    address: str = field(repr=False)
    template_id: str
    fields: Mapping[str, str]
    title: str
    body: str
    event_class: str
    created_at: datetime
    sent_at: datetime
    link: str | None = None
    unsubscribe: str | None = None
    language: str = "zh"
    subject_id: str = ""
    account_ids: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`reference` returns in the receipt. `delivered`: the recipient's own system answered, no receipt follows."""

    reference: str | None
    delivered: bool = False


class ChannelError(Exception):
    """An attempt without acceptance. `ambiguous`: it may have been accepted although no answer came."""

    def __init__(self, reason: str, *, kind: FailureKind, ambiguous: bool = False, account_wide: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason[:200]
        self.kind = kind
        self.ambiguous = ambiguous
        self.account_wide = account_wide
        """The provider refuses everything (credentials, arrears, ban), not this message or template."""


class Channel(Protocol):
    """One provider of one channel; `dedupe` is how long it takes a repeated `message_id` for the same message."""

    name: str
    dedupe: timedelta
    shared: bool
    """Whether one provider stands behind all addresses, so that its failures say something of the others."""

    async def send(self, message: Outgoing) -> Accepted:
        """Raises `ChannelError`."""
        ...
