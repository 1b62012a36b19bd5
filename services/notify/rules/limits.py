"""Limits of the providers as dated data, and what a token bucket admits: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

_ZONE = ZoneInfo("Asia/Shanghai")
RESERVED_SHARE = 0.20
"""Of a day's quota kept for P0 and P1."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """`burst` messages at once and `refill` more in every `window_s`; in any window at most burst + refill.

    `calendar_day`: `burst` is the quota of a Beijing day, nothing is refilled before midnight.
    `scope` account, template or recipient: what has a bucket of its own.
    """

    name: str
    provider: str
    scope: str
    burst: float
    refill: float
    window_s: float
    calendar_day: bool = False
    source: str = ""
    status: str = "demo"
    valid_from: date = date(2026, 1, 1)

    @property
    def per_second(self) -> float:
        return 0.0 if self.calendar_day else self.refill / self.window_s

    def bucket(self, *, now: datetime, template_id: str = "", person_id: str = "") -> str:
        """The row that all replicas share."""
        parts = [self.provider, self.name]
        if self.calendar_day:
            parts.append(now.astimezone(_ZONE).date().isoformat())
        if self.scope in ("template", "recipient"):
            parts.append(template_id)
        if self.scope == "recipient":
            parts.append(person_id)
        return "|".join(p for p in parts if p)


def available(limit: Limit, *, tokens: float, refilled_at: datetime, now: datetime) -> float:
    """Tokens now; a clock that went back refills nothing."""
    seconds = max((now - refilled_at).total_seconds(), 0.0)
    return min(limit.burst, tokens + seconds * limit.per_second)


def usable(limit: Limit, tokens: float, *, urgent: bool) -> int:
    """Whole messages; those that are not urgent leave the reserve of a day's quota untouched."""
    reserve = limit.burst * RESERVED_SHARE if limit.calendar_day and not urgent else 0.0
    return max(int(tokens - reserve + 1e-9), 0)


def limits_of(provider: str, limits: Mapping[str, tuple[Limit, ...]], *, scope: str) -> tuple[Limit, ...]:
    return tuple(limit for limit in limits.get(provider, ()) if limit.scope == scope)
