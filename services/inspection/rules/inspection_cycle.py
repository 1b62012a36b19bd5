"""When a site is due: the grade's own cycle, shortened by class, attention and open hazards; never lengthened.

Rule critical-hazard-inspects-at-once: 重大隐患立即复查。A critical hazard makes its site due at once.
Rule high-reliability-halves-the-cycle: 高可靠类客户检查周期减半。Class high reliability halves the grade's cycle.
"""

import calendar
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from services.inspection.rules.parameters import parameter
from services.inspection.rules.words import HazardGrade

ZONE = ZoneInfo("Asia/Shanghai")
Reason = Literal["cycle", "class", "attention", "hazard"]
URGENT_ATTENTION = 3


@dataclass(frozen=True, kw_only=True)
class OpenHazard:
    grade: HazardGrade
    found_on: date


@dataclass(frozen=True, kw_only=True)
class Due:
    on: date
    reason: Reason


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def cycle_months(*, importance: str, highest_kv: Decimal, day: date) -> int:
    months = parameter("inspection-cycle-months", day=day)
    if importance in months:
        return int(months[importance])
    if highest_kv >= 35:
        return int(months["from-35kv"])
    return int(months["from-1kv"] if highest_kv >= 1 else months["low-voltage"])


def due_date(
    *,
    last_done: date,
    months: int,
    factor: Decimal,
    classes: Collection[str],
    attention: int,
    urgent_since: date | None,
    hazards: Collection[OpenHazard],
    day: date,
) -> Due:
    """The earliest of all calls for an inspection; `factor` is the archive's own and may only shorten."""
    factors = parameter("cycle-factor", day=day)
    whole = (add_months(last_done, months) - last_done).days
    calls = [Due(on=last_done + timedelta(days=whole), reason="cycle")]
    in_class = "high-reliability" in classes
    by_class = Decimal(factors["high-reliability"]) if in_class else Decimal(1)
    by_attention = Decimal(factors.get(f"attention-{min(attention, 2)}", "1"))
    named = min((by_class, "class"), (by_attention, "attention"))[1]
    shortest = min(by_class, by_attention, factor)
    if shortest < 1:
        reason: Reason = "class" if named == "class" else "attention"
        calls.append(Due(on=last_done + timedelta(days=int(whole * shortest)), reason=reason))
    if attention >= URGENT_ATTENTION and urgent_since is not None:
        calls.append(Due(on=max(last_done, urgent_since), reason="attention"))
    within = timedelta(days=parameter("serious-hazard-inspection-days", day=day))
    for hazard in hazards:
        if hazard.grade != "general":
            wait = timedelta(0) if hazard.grade == "critical" else within
            calls.append(Due(on=max(last_done, hazard.found_on) + wait, reason="hazard"))
    return min(calls, key=lambda due: due.on)
