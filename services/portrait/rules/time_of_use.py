"""Time-of-use plans as dated data: which tariff period an interval of a day lies in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERIODS = {"sharp": 1, "peak": 2, "flat": 3, "valley": 4, "deep_valley": 5}
VALLEY = frozenset({PERIODS["valley"], PERIODS["deep_valley"]})
PEAK = frozenset({PERIODS["sharp"], PERIODS["peak"]})


class IncompletePlan(ValueError):
    """The rules of a plan leave a minute of a day without a period, or contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouRule:
    """Minutes of the day [start, end) that belong to `period`; an end not after the start passes midnight."""

    months: frozenset[int]
    day_kind: str
    period: str
    start_minute: int
    end_minute: int
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TouPlan:
    id: str
    province: str
    document: str
    effective_from: date
    effective_to: date | None
    status: str
    rules: tuple[TouRule, ...]

    def minutes(self, *, month: int, day_kind: str) -> NDArray[np.uint8]:
        """Period code of each of the 1,440 minutes. Raises IncompletePlan."""
        codes = np.zeros(1440, np.uint8)
        ranks = np.full(1440, -1)
        for rule in self.rules:
            if month not in rule.months or rule.day_kind not in ("all", day_kind):
                continue
            for covered in _spans(rule):
                if (ranks[covered] == rule.priority).any():
                    raise IncompletePlan(f"{self.id}: two rules of priority {rule.priority} overlap in month {month}")
                higher = ranks[covered] < rule.priority
                codes[covered][higher] = PERIODS[rule.period]
                ranks[covered][higher] = rule.priority
        if (codes == 0).any():
            gap = int(np.flatnonzero(codes == 0)[0])
            raise IncompletePlan(f"{self.id}: month {month}, {gap // 60:02}:{gap % 60:02} lies in no period")
        return codes

    def periods(self, *, days: Sequence[tuple[date, str]], step_minutes: int) -> NDArray[np.uint8]:
        """Period code per interval, one row per (day, day kind).

        Raises ValueError when the plan is not in force on a day, or changes period within an interval.
        """
        for day, _ in days:
            if day < self.effective_from or (self.effective_to is not None and day >= self.effective_to):
                raise ValueError(f"{self.id} is not in force on {day}; name the plan of that day")
        kinds = {(day.month, kind): self._slots(day.month, kind, step_minutes) for day, kind in days}
        return np.stack([kinds[day.month, kind] for day, kind in days])

    def month_slots(self, *, month: date, step_minutes: int) -> NDArray[np.uint8]:
        """Period code per slot of the day, the same on all days of the month that begins on `month`.

        Raises ValueError as `periods` does, and when the plan tells kinds of days apart: sums over the month's days
        cannot be split by it.
        """
        if any(rule.day_kind != "all" for rule in self.rules):
            raise ValueError(f"{self.id} tells kinds of days apart; month sums cannot be split by it")
        slots: NDArray[np.uint8] = self.periods(days=[(month, "all")], step_minutes=step_minutes)[0]
        return slots

    def _slots(self, month: int, day_kind: str, step_minutes: int) -> NDArray[np.uint8]:
        table = self.minutes(month=month, day_kind=day_kind).reshape(-1, step_minutes)
        if (table != table[:, :1]).any():
            raise ValueError(f"{self.id} changes period within {step_minutes} minutes; use shorter intervals")
        return table[:, 0].copy()


def _spans(rule: TouRule) -> list[slice]:
    if rule.start_minute < rule.end_minute:
        return [slice(rule.start_minute, rule.end_minute)]
    return [slice(rule.start_minute, 1440), slice(0, rule.end_minute)]


def plan_from(document: Mapping[str, Any]) -> TouPlan:
    """Read a plan document (services/portrait/data/tou_*.json). Raises KeyError or ValueError naming what is wrong."""
    rules = tuple(
        TouRule(
            months=frozenset(rule.get("months", range(1, 13))),
            day_kind=rule.get("day_kind", "all"),
            period=rule["period"],
            start_minute=_minute(rule["start"]),
            end_minute=_minute(rule["end"]),
            priority=rule.get("priority", 0),
        )
        for rule in document["rules"]
    )
    unknown = {rule.period for rule in rules} - set(PERIODS)
    if unknown:
        raise ValueError(f"period {sorted(unknown)} is none of {sorted(PERIODS)}")
    until = document.get("effective_to")
    return TouPlan(
        id=document["id"],
        province=document["province"],
        document=document["document"],
        effective_from=date.fromisoformat(document["effective_from"]),
        effective_to=date.fromisoformat(until) if until else None,
        status=document["status"],
        rules=rules,
    )


def _minute(text: str) -> int:
    if text == "24:00":
        return 1440
    moment = time.fromisoformat(text)
    return moment.hour * 60 + moment.minute
