"""Reliability indices of DL/T 836.1 / IEEE 1366: SAIDI, SAIFI, CAIDI, ASAI of a period."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """`users` lost supply in [starts_at, ends_at)."""

    users: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Indices:
    """Hours per user, interruptions per user, hours per interruption (None without one), availability in 0..1."""

    user_hours: float
    interruptions: int
    saidi_hours: float
    saifi: float
    caidi_hours: float | None
    asai: float


def indices(
    *,
    interruptions: Sequence[Interruption],
    users: int,
    period: tuple[datetime, datetime],
    sustained_over: timedelta,
) -> Indices:
    """Counts an interruption in the period it begins in, its hours in the period they fall into.

    Interruptions of at most `sustained_over` are momentary and belong to no index here.
    Raises ValueError without users: a share of nobody has no meaning.
    """
    if users <= 0:
        raise ValueError("users must be positive")
    begin, end = period
    sustained = [i for i in interruptions if i.ends_at - i.starts_at > sustained_over]
    hours = sum(i.users * _overlap(i, begin, end) for i in sustained)
    count = sum(i.users for i in sustained if begin <= i.starts_at < end)
    return Indices(
        user_hours=hours,
        interruptions=count,
        saidi_hours=hours / users,
        saifi=count / users,
        caidi_hours=hours / count if count else None,
        asai=1 - hours / (users * ((end - begin) / _HOUR)),
    )


def _overlap(interruption: Interruption, begin: datetime, end: datetime) -> float:
    inside = min(interruption.ends_at, end) - max(interruption.starts_at, begin)
    return max(0.0, inside / _HOUR)
