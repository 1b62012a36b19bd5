"""The seven indicators of one customer with their formula, window, sources and completeness."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import func, select

from services.kernel.work import UnitOfWork
from services.portrait import schemas
from services.portrait import tables as t
from services.portrait.classes.in_force import rules_in_force
from services.portrait.customers.calendar import local_day, month_name, months_up_to, shifted
from services.portrait.customers.facts import COMPLETE_MONTH, read_facts
from services.portrait.rules.indicator_catalogue import CATALOGUE, months_known
from services.portrait.rules.measured import REASONS


async def seven_indicators(work: UnitOfWork, *, customer_id: str) -> list[schemas.PortraitIndicator]:
    """As they are on the day of the call; a value that the data do not carry is null with its reason."""
    today = local_day(work.now)
    facts = await read_facts(work, customer_id=customer_id, rules=await rules_in_force(work, day=today))
    covered = await _covered(work, customer_id, today)
    found = []
    for code, described in CATALOGUE.items():
        measured = facts.for_classes.indicators[code]
        zh, en = REASONS[measured.reason] if measured.reason else (None, None)
        have, want = covered[code]
        found.append(
            schemas.PortraitIndicator(
                code=code,
                number=described.number,
                name_zh=described.name_zh,
                name_en=described.name_en,
                value=measured.value,
                unit=described.unit,
                reason_zh=zh,
                reason_en=en,
                formula_zh=described.formula_zh,
                formula_en=described.formula_en,
                window_from=_begin(today, described.window_months),
                window_to=today,
                sources=list(described.sources),
                larger_is=described.larger_is,
                completeness=round(have / want, 4) if want else 0.0,
                data_months=have,
                expected_months=want,
            )
        )
    return found


def _begin(today: date, months: int) -> date:
    if not months:
        return today
    first = shifted(today, months=-months)
    last = (shifted(first, months=1) - first).days
    return first.replace(day=min(today.day, last))


async def _covered(work: UnitOfWork, customer_id: str, today: date) -> Mapping[str, tuple[int, int]]:
    """By indicator: of how many months (accounts for the first) there are data, and of how many there should be."""
    terms = t.account_terms.c
    since, accounts = (
        await work.db.execute(
            select(func.min(terms.valid_from), func.count(terms.account_id.distinct())).where(
                terms.customer_id == customer_id
            )
        )
    ).one()
    u, b = t.monthly_usage.c, t.bill.c
    usage = await work.db.execute(select(u.month).where(u.customer_id == customer_id, u.completeness >= COMPLETE_MONTH))
    whole = set(usage.scalars())
    newest = (await work.db.execute(select(func.max(u.month)).where(u.customer_id == customer_id))).scalar_one()
    bills = await work.db.execute(
        select(b.period_to).where(b.customer_id == customer_id, ~b.cancelled, b.period_to.is_not(None))
    )
    billed = {month_name(day) for day in bills.scalars() if _begin(today, 36) <= day <= today}
    return {
        "supply_nature_score": (accounts, accounts),
        "avg_monthly_kwh": (_of(whole, newest, 12), 12),
        "monthly_service_rate": (months_known(since=since, as_of=today, window=12), 12),
        "kwh_growth_rate": (_of(whole, newest, 24), 24),
        "complaint_rate": (months_known(since=since, as_of=today, window=12), 12),
        "violation_index": (months_known(since=since, as_of=today, window=36), 36),
        "penalty_bill_share": (min(36, len(billed)), 36),
    }


def _of(whole: set[Any], newest: str | None, months: int) -> int:
    """Whole months of those that end with the newest one known."""
    if newest is None:
        return 0
    names: Sequence[str] = months_up_to(date.fromisoformat(f"{newest}-01"), count=months)
    return sum(name in whole for name in names)
