"""Calls per minute and per Beijing day, each API on its own; both exhaustions are 45009 and differ by the text."""

from collections import Counter
from datetime import timedelta, timezone

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.clock import VirtualClock

_BEIJING = timezone(timedelta(hours=8))
_CLEARS_PER_MONTH = 10

DEFAULT_PER_DAY = {
    "token": 2_000,
    "stable_token": 500_000,
    "message/template/send": 100_000,
    "message/custom/send": 500_000,
}
DEFAULT_PER_MINUTE = {"stable_token": 10_000}


class QuotaDesk:
    def __init__(self, *, clock: VirtualClock) -> None:
        self._clock = clock
        self.per_day = dict(DEFAULT_PER_DAY)
        self.per_minute = dict(DEFAULT_PER_MINUTE)
        self._day = ""
        self._minute = ""
        self._used_today: Counter[str] = Counter()
        self._used_this_minute: Counter[str] = Counter()
        self._clears: Counter[str] = Counter()

    def take(self, *, api: str) -> None:
        """Raises `Refused` 45009."""
        now = self._clock.now().astimezone(_BEIJING)
        if (day := now.strftime("%Y-%m-%d")) != self._day:
            self._day, self._used_today = day, Counter()
        if (minute := now.strftime("%H:%M")) != self._minute:
            self._minute, self._used_this_minute = minute, Counter()
        if self._used_today[api] >= self.per_day.get(api, 10**9):
            hint = ", could get access_token by getStableAccessToken" if api == "token" else ""
            raise Refused(45009, f"reach max api daily quota limit{hint}")
        if self._used_this_minute[api] >= self.per_minute.get(api, 10**9):
            raise Refused(45009, "reach max api minute quota limit")
        self._used_today[api] += 1
        self._used_this_minute[api] += 1

    def clear(self) -> None:
        """Raises `Refused` 48006 the eleventh time in a month."""
        month = self._clock.now().astimezone(_BEIJING).strftime("%Y-%m")
        if self._clears[month] >= _CLEARS_PER_MONTH:
            raise Refused(48006)
        self._clears[month] += 1
        self._used_today.clear()
