"""The seven indicators of the customer portrait. Formulas are proposals of the house, their parameters dated data."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import log10
from typing import NamedTuple

from services.portrait.rules.measured import Measured, ratio

INDICATORS = (
    "supply_nature_score",
    "avg_monthly_kwh",
    "monthly_service_rate",
    "kwh_growth_rate",
    "complaint_rate",
    "violation_index",
    "penalty_bill_share",
)


class Violation(NamedTuple):
    day: date
    theft: bool


def supply_nature_score(*, importance_grade: str | None, nature: str | None, scores: Mapping[str, float]) -> Measured:
    """1 用电性质: the higher of what the importance grade and the nature of use stand for in the dated table."""
    known = [scores[name] for name in (importance_grade, nature) if name is not None and name in scores]
    return Measured(max(known)) if known else Measured.missing("unknown-nature")


def avg_monthly_kwh(*, monthly_wh: Sequence[int | None]) -> Measured:
    """2 月均电量: mean of the last twelve months, oldest first; None stands for a month without enough data."""
    months = [wh for wh in monthly_wh[-12:] if wh is not None]
    if len(months) < 12:
        return Measured.missing("fewer-than-12-months")
    return Measured(sum(months) / 12 / 1000)


def on_log_scale(*, kwh: float) -> float:
    """The scale on which monthly energies are compared; 1 kWh and less count as 0."""
    return log10(max(kwh, 1.0))


def monthly_service_rate(*, contacts: int, months: int, contract_kva: float | None) -> Measured:
    """3 月服务率: tickets, conversations and visits per month and 1,000 kVA, each counted once.

    Announcements and pushes are no contacts.
    """
    if not contract_kva:
        return Measured.missing("no-capacity")
    return ratio(contacts, months * contract_kva / 1000, otherwise="no-months")


def kwh_growth_rate(*, monthly_wh: Sequence[int | None]) -> Measured:
    """4 电量增长率: the last twelve months against the twelve before, oldest first."""
    months = [wh for wh in monthly_wh[-24:] if wh is not None]
    if len(months) < 24:
        return Measured.missing("fewer-than-24-months")
    before, after = sum(months[:12]), sum(months[12:])
    return ratio(after - before, before, otherwise="zero-energy")


def complaint_rate(*, complaints: int, contacts: int) -> Measured:
    """5 投诉率: complaints of service contacts."""
    return ratio(complaints, contacts, otherwise="no-service-contacts")


def violation_index(*, violations: Sequence[Violation], as_of: date, window_months: int = 36) -> Measured:
    """6 违约用电、窃电: a violation counts 1, a theft 3, halved with each year of age, over 36 months.

    The window is half-open: what happened exactly 36 months ago still counts, what lies after `as_of` does not.
    """
    start = _months_before(as_of, window_months)
    weights = [
        (3.0 if v.theft else 1.0) * 0.5 ** ((as_of - v.day).days / 365.25)
        for v in violations
        if start <= v.day <= as_of
    ]
    return Measured(sum(weights))


def penalty_bill_share(*, penalties_yuan: Decimal, late_fees_yuan: Decimal, bills_yuan: Decimal) -> Measured:
    """7 累计违约电费占比: breach fees and late fees of the sum of bills, over 36 months."""
    if bills_yuan <= 0:
        return Measured.missing("no-bills")
    return Measured(float((penalties_yuan + late_fees_yuan) / bills_yuan))


def _months_before(day: date, months: int) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    leap = years % 4 == 0 and (years % 100 != 0 or years % 400 == 0)
    longest = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month]
    return date(years, month + 1, min(day.day, longest))
