"""What the one-page brief for a visitor says; `visit_brief` sets it as PDF."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table with a title; `empty` is said where there are no rows."""

    title: str
    rows: Sequence[Sequence[str]]
    empty: str = "无 none"


@dataclass(frozen=True, kw_only=True)
class VisitBrief:
    """`months` are (month, kWh or None), oldest first."""

    name: str
    customer_id: str
    as_of: date
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    months: Sequence[tuple[str, float | None]]
