"""Time as an argument: who needs the hour asks the clock it was given."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

BUSINESS_ZONE = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    def now(self) -> datetime:
        """Business time, aware, UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ShiftedClock:
    """Runs at normal speed from a given instant: the demo's "as of" moment.

    Every process of one demo gets the same pair (`as_of`, `started_at` in epoch seconds), so that all agree.
    """

    def __init__(self, *, as_of: datetime, started_at: float) -> None:
        self._as_of = as_of.astimezone(UTC)
        self._started_at = started_at

    def now(self) -> datetime:
        return self._as_of + timedelta(seconds=time.time() - self._started_at)


class ManualClock:
    """Stands still until it is moved; for tests of deadlines."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by
