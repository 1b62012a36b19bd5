"""A provider that answers what the test says and keeps every message it let through, with a memory of message ids."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.kernel.clock import ManualClock
from services.notify.adapters.port import Accepted, ChannelError, Outgoing
from services.notify.rules.retries import FailureKind

Script = Callable[[Outgoing], ChannelError | str | None]
LOST = "lost"
"""Accepted, but no answer comes."""


@dataclass(kw_only=True)
class Provider:
    """`memory`: how long a repeated id is shown once only; `script` says what goes wrong with a call."""

    name: str
    clock: ManualClock
    dedupe: timedelta = timedelta(minutes=8)
    memory: timedelta = timedelta(minutes=10)
    shared: bool = True
    script: Script | None = None
    calls: list[tuple[datetime, Outgoing]] = field(default_factory=list)
    shown: list[tuple[datetime, Outgoing]] = field(default_factory=list)
    _known: dict[str, datetime] = field(default_factory=dict)

    async def send(self, message: Outgoing) -> Accepted:
        now = self.clock.now()
        self.calls.append((now, message))
        wrong = self.script(message) if self.script else None
        if isinstance(wrong, ChannelError):
            raise wrong
        first = self._known.get(message.message_id)
        if first is None or now - first > self.memory:
            self._known[message.message_id] = now
            self.shown.append((now, message))
        if wrong == LOST:
            raise ChannelError("connection reset", kind=FailureKind.TRANSIENT, ambiguous=True)
        return Accepted(reference=f"{self.name}-{len(self.calls)}-{message.message_id[:8]}")

    def count(self, event_class: str | None = None) -> int:
        return sum(1 for _, m in self.shown if event_class in (None, m.event_class))


def failing(kind: FailureKind, *, times: int, reason: str = "as the test says", account_wide: bool = False) -> Script:
    """The first `times` calls fail so."""
    left = times

    def script(_: Outgoing) -> ChannelError | None:
        nonlocal left
        left -= 1
        return ChannelError(reason, kind=kind, account_wide=account_wide) if left >= 0 else None

    return script
