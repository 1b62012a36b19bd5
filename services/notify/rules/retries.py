"""What happens after an attempt that did not succeed: again, another channel, or wait for a receipt."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

CONFIRMATION_WAIT = timedelta(minutes=10)
"""WeChat keeps a client_msg_id for ten minutes (official text); after that a repetition may show a second message."""
FREQUENCY_HOLD = timedelta(minutes=10)
MINUTE_QUOTA_PAUSE = timedelta(seconds=60)
FLAP_PAUSE = timedelta(seconds=30)
LONGEST_WAIT_S = 300
URGENT = 1
"""Priorities up to this one go to the next channel instead of waiting for a quota or a held recipient."""
_ZONE = ZoneInfo("Asia/Shanghai")


class FailureKind(StrEnum):
    TRANSIENT = "transient"
    FREQUENCY = "frequency"
    """Too much for this recipient."""
    MINUTE_QUOTA = "minute_quota"
    DAY_QUOTA = "day_quota"
    RECIPIENT = "recipient"
    """The address does not work or its owner refuses."""
    WINDOW = "window"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    FLAPPING = "flapping"
    """A configuration error that is known to come and go: believed at the second time."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """`dedupe`: for how long the provider takes a repetition with the same message id for the same message.

    `doubtful_since`: when an attempt first ended without a known result. `jitter` in [0, 1), the same for a replay.
    """

    kind: FailureKind
    ambiguous: bool
    attempts: int
    priority: int
    now: datetime
    give_up_at: datetime
    dedupe: timedelta
    doubtful_since: datetime | None = None
    jitter: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Retry:
    at: datetime


@dataclass(frozen=True, kw_only=True)
class AwaitReceipt:
    """It may be out: nothing is sent again here; without a receipt by `until` it counts as failed."""

    until: datetime


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """This channel is over for the message; `unusable`: for the person's address as well."""

    unusable: bool = False


Verdict = Retry | AwaitReceipt | GiveUp


def decide(s: Situation) -> Verdict:
    """Retry inside the provider's memory of the message id; after doubt beyond it never again on this channel."""
    again = _again(s)
    doubtful = s.doubtful_since or (s.now if s.ambiguous else None)
    if doubtful is None:
        return Retry(at=again) if again is not None and again < s.give_up_at else _give_up(s)
    if again is None:
        return _give_up(s)
    if again <= doubtful + s.dedupe and again < s.give_up_at:
        return Retry(at=again)
    return AwaitReceipt(until=max(doubtful + CONFIRMATION_WAIT, s.now))


def wait_before(*, attempts: int, jitter: float = 0.0) -> timedelta:
    """1, 2, 4 ... 300 seconds, up to half of it less by jitter."""
    whole = min(2 ** max(attempts - 1, 0), LONGEST_WAIT_S)
    return timedelta(seconds=whole * (1 - jitter / 2))


def next_midnight(now: datetime) -> datetime:
    """When the day's quota of a Chinese provider starts anew: 00:00 Beijing time."""
    local = now.astimezone(_ZONE)
    return (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _again(s: Situation) -> datetime | None:
    urgent = s.priority <= URGENT
    match s.kind:
        case FailureKind.TRANSIENT:
            return s.now + wait_before(attempts=s.attempts, jitter=s.jitter)
        case FailureKind.MINUTE_QUOTA:
            return s.now + MINUTE_QUOTA_PAUSE
        case FailureKind.FREQUENCY:
            return None if urgent else s.now + FREQUENCY_HOLD
        case FailureKind.DAY_QUOTA:
            return None if urgent else next_midnight(s.now)
        case FailureKind.FLAPPING:
            return s.now + FLAP_PAUSE if s.attempts < 2 else None
        case _:
            return None


def _give_up(s: Situation) -> GiveUp:
    return GiveUp(unusable=s.kind is FailureKind.RECIPIENT)
