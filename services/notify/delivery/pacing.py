"""What one channel has claimed and not begun: in order, each message not before the moment its token is due.

Tokens are taken from the shared bucket a little ahead of time, so that a slow database does not slow the channel.
"""

from collections import deque
from dataclasses import dataclass

from services.notify.adapters.port import Channel
from services.notify.delivery.claims import Claim, Claimed

CATCH_UP_S = 0.05
"""A loop that was held up may send at once what became due in so long; the rest keeps its distance."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """`start_at` and `claimed_at` on the monotonic clock; `gap_s` to the next message, 0 where no limit held it."""

    provider: Channel
    claimed: Claimed
    claimed_at: float
    start_at: float
    gap_s: float


class Line:
    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._free_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, found: Claim, *, now: float) -> None:
        if found.provider is None:
            return
        for message in found.messages:
            gap = 1 / found.per_second if message.after_s > 0 and found.per_second else 0.0
            self._waiting.append(Waiting(found.provider, message, now, now + message.after_s, gap))

    def opens_at(self) -> float:
        """When the first message may begin; only for a line that is not empty."""
        first = self._waiting[0]
        return max(first.start_at, self._free_at - CATCH_UP_S) if first.gap_s else first.start_at

    def take(self, *, now: float) -> Waiting | None:
        """The first message, if it may begin."""
        if not self._waiting or self.opens_at() > now:
            return None
        first = self._waiting.popleft()
        if first.gap_s:
            self._free_at = max(self._free_at, now) + first.gap_s
        return first

    def lasts(self, *, now: float) -> float:
        """Seconds until the last message may begin, at the pace of its limit."""
        if not self._waiting:
            return 0.0
        last = self._waiting[-1]
        return max(last.start_at, self._free_at + (len(self._waiting) - 1) * last.gap_s) - now
