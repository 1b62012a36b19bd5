"""Who is told and restored first: importance grade, then class high reliability, then attention, then load.

Rule most-important-first: 停电告知与复电按重要性等级排序。The most important customers come first.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

ImportanceGrade = Literal["none", "temporary", "grade-2", "grade-1", "special"]
_GRADES: tuple[ImportanceGrade, ...] = ("special", "grade-1", "grade-2", "temporary", "none")
"""GB/T 29328-2018, most important first."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What of a customer counts for its priority; `load_kw` is the mean load, unknown counts as none."""

    customer_id: str
    importance_grade: ImportanceGrade
    high_reliability: bool
    attention_level: int
    load_kw: Decimal | None


def priority_key(standing: Standing) -> tuple[int, bool, int, Decimal, str]:
    """Sorts the most important first; the customer's id decides last, so that the order is the same everywhere."""
    return (
        _GRADES.index(standing.importance_grade),
        not standing.high_reliability,
        -standing.attention_level,
        -(standing.load_kw or Decimal(0)),
        standing.customer_id,
    )
