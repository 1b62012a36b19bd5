"""How soon a customer's question is to be answered and who is asked next when it is not: pure.

Hours, minutes and levels are a promise of the company, given as dated data; no regulation sets them.
Rule unanswered-question-climbs: 超过承诺时限无人答复的咨询逐级升级。A question nobody answers climbs level by level.
Rule answered-question-rests: 已答复的咨询不再升级，不再打扰任何人。Once answered, a question climbs no further.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

_ZONE = ZoneInfo("Asia/Shanghai")
_MOST_DAYS = 400
WorksOn = Callable[[date], bool]


class Level(IntEnum):
    """Who is asked: the manager at once, the others when nobody has answered."""

    MANAGER = 0
    DEPUTY = 1
    TEAM_LEADER = 2
    DESK = 3


@dataclass(frozen=True, kw_only=True)
class ReplyTimes:
    """`periods` of a working day in order, each half-open; `steps` from the question to each level above the manager.

    All durations are service time.
    """

    periods: tuple[tuple[time, time], ...]
    first_reply: timedelta
    steps: tuple[timedelta, ...]
    zone: ZoneInfo = _ZONE


def in_service(at: datetime, *, times: ReplyTimes, works_on: WorksOn) -> bool:
    local = at.astimezone(times.zone)
    clock = local.time()
    return works_on(local.date()) and any(begins <= clock < ends for begins, ends in times.periods)


def after_service_time(asked_at: datetime, span: timedelta, *, times: ReplyTimes, works_on: WorksOn) -> datetime:
    """The moment at which `span` of service time has passed since `asked_at`; lunch, nights and days off do not count.

    A question outside service hours counts from the next opening. Raises ValueError when no day of the year works.
    """
    left = span
    for begins, ends in _periods_from(asked_at, times, works_on):
        served = max(ends - max(begins, asked_at), timedelta(0))
        if served >= left:
            return max(begins, asked_at) + left
        left -= served
    raise ValueError("no working day within a year")


def service_time(begins: datetime, ends: datetime, *, times: ReplyTimes, works_on: WorksOn) -> timedelta:
    """How much of `[begins, ends)` is service time."""
    total = timedelta(0)
    for opens, closes in _periods_from(begins, times, works_on):
        if opens >= ends:
            break
        total += max(min(closes, ends) - max(opens, begins), timedelta(0))
    return total


def promised_at(asked_at: datetime, *, times: ReplyTimes, works_on: WorksOn) -> datetime:
    return after_service_time(asked_at, times.first_reply, times=times, works_on=works_on)


def next_step(asked_at: datetime, level: int, *, times: ReplyTimes, works_on: WorksOn) -> datetime | None:
    """When the level above `level` is asked; None above the last."""
    if level >= len(times.steps):
        return None
    return after_service_time(asked_at, times.steps[level], times=times, works_on=works_on)


def level_at(asked_at: datetime, now: datetime, *, times: ReplyTimes, works_on: WorksOn) -> int:
    """The highest level whose time has come, so that after a pause of the service it skips to where it belongs."""
    passed = service_time(asked_at, now, times=times, works_on=works_on)
    return sum(step <= passed for step in times.steps)


def _periods_from(at: datetime, times: ReplyTimes, works_on: WorksOn) -> Iterator[tuple[datetime, datetime]]:
    first = at.astimezone(times.zone).date()
    for offset in range(_MOST_DAYS):
        day = first + timedelta(days=offset)
        if works_on(day):
            for begins, ends in times.periods:
                yield (
                    datetime.combine(day, begins, tzinfo=times.zone), datetime.combine(day, ends, tzinfo=times.zone)
                )  # fmt: skip
