"""A measurement that rests on exactly one value for hours is stuck; the run is carried over from block to block.

Rule frozen-measurement-is-suspected: 量测长时间不变视为疑似隐患。A stuck measurement opens one suspicion per asset.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run of equal values that the last value belongs to; `reported` once it has been called stuck."""

    value: float
    since: datetime
    last_at: datetime
    count: int
    reported: bool = False

    @property
    def lasted(self) -> timedelta:
        return self.last_at - self.since


def follow(
    run: Run | None, *, readings: Iterable[tuple[datetime, float | None]], threshold: timedelta, largest_gap: timedelta
) -> tuple[Run | None, list[Run]]:
    """The run after `readings` and every run that reached `threshold` within them, each once.

    Readings at or before the last one known change nothing, so blocks may be repeated. A missing value neither
    ends nor lengthens a run; a silence longer than `largest_gap` ends it.
    """
    stuck: list[Run] = []
    for at, value in readings:
        if value is None or (run is not None and at <= run.last_at):
            continue
        if run is None or value != run.value or at - run.last_at > largest_gap:
            run = Run(value=value, since=at, last_at=at, count=1)
            continue
        run = replace(run, last_at=at, count=run.count + 1)
        if not run.reported and run.lasted >= threshold:
            run = replace(run, reported=True)
            stuck.append(run)
    return run, stuck
