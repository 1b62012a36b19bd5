"""Remembers what the classes looked at and each entry into and departure from a class."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, or_
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.classes.tables import INDICATOR_COLUMNS
from services.portrait.rules.classes import CustomerFacts


async def keep_facts(work: UnitOfWork, *, customer_id: str, facts: CustomerFacts, vetoes: Sequence[str]) -> None:
    """One row per customer, the columns of whole-population analyses."""
    values: dict[str, Any] = {
        **{code: measured.value for code, measured in facts.indicators.items() if code in INDICATOR_COLUMNS},
        "avg_monthly_bill_yuan": facts.avg_monthly_bill_yuan,
        "dual_supply": facts.dual_supply,
        "capacity_application": facts.capacity_application_within_12_months,
        "vetoes": list(vetoes),
    }
    table = t.class_facts
    statement = upsert(table).values(customer_id=customer_id, **values)
    differs = or_(*[table.c[name].is_distinct_from(statement.excluded[name]) for name in values])
    await work.db.execute(statement.on_conflict_do_update(index_elements=["customer_id"], set_=values, where=differs))


async def keep_changes(
    work: UnitOfWork, *, customer_id: str, profile_version: int, changes: Sequence[Mapping[str, Any]]
) -> None:
    """`changes` as of `explain.turned`."""
    rows = [
        {
            "customer_id": customer_id,
            "profile_version": profile_version,
            "class_name": change["name"],
            "entered": change["entered"],
            "at": work.now,
            "rule_version": change["rule_version"],
            "because": change["because"],
        }
        for change in changes
    ]
    if rows:
        await work.db.execute(insert(t.class_membership), rows)
