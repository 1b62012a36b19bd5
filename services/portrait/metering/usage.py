"""Monthly usage of a customer: every figure that was told is kept as a revision, none is overwritten silently."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import MonthlyUsageComputed
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import month_name, shifted

Reason = Literal["score-run", "month-close", "late-data"]


async def record_month(
    work: UnitOfWork, *, customer_id: str, first: date, energy_wh: int, completeness: float, reason: Reason,
    looked_at: dict[str, Any] | None = None,
) -> bool:  # fmt: skip
    """Store and tell the usage of the month that begins on `first`, if it differs from what was told last.

    The caller holds the customer's row lock, so revisions rise without a gap.
    """
    usage, month = t.monthly_usage, month_name(first)
    query = select(usage).where(usage.c.customer_id == customer_id, usage.c.month == month)
    known = (await work.db.execute(query)).first()
    if known is not None and (known.energy_wh, known.completeness) == (energy_wh, completeness):
        return False
    revision = known.revision + 1 if known else 0
    values = {"revision": revision, "energy_wh": energy_wh, "completeness": completeness}
    statement = upsert(usage).values(customer_id=customer_id, month=month, **values)
    await work.db.execute(statement.on_conflict_do_update(index_elements=["customer_id", "month"], set_=values))
    closed = (await work.db.execute(select(t.month_close.c.month).where(t.month_close.c.month == month))).first()
    await work.db.execute(
        insert(t.usage_revision).values(
            customer_id=customer_id,
            month=month,
            reason=reason,
            after_close=closed is not None and known is not None and reason == "late-data",
            changed={"energy_wh_before": known.energy_wh if known else None, **(looked_at or {})},
            made_at=work.now,
            **values,
        )
    )
    work.emit(_event(customer_id, first, revision, energy_wh, completeness))
    return True


def _event(customer_id: str, first: date, revision: int, energy_wh: int, completeness: float) -> MonthlyUsageComputed:
    hours = (shifted(first, months=1) - first).days * 24 * completeness
    kwh = Decimal(max(energy_wh, 0)) / 1000
    return MonthlyUsageComputed(
        customer_id=customer_id,
        month=month_name(first),
        revision=revision,
        energy_kwh=kwh,
        mean_load_kw=(kwh / Decimal(hours)).quantize(Decimal("0.001")) if hours else Decimal(0),
        completeness=completeness,
    )
