"""The shift pattern of a customer: proposed from the curve of a month, confirmed by the customer's own people."""

from datetime import date, timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_start, shifted
from services.portrait.rules.month_facts import decode
from services.portrait.rules.shift_pattern import Shift, shift_of, shutdown_days
from services.portrait.scoring import schemas


async def shift_seen(work: UnitOfWork, *, customer_id: str, month: str) -> schemas.ShiftSeen:
    first = month_start(month)
    shift, days = await _proposed(work, customer_id, first)
    c = t.customer_shift.c
    query = (
        select(t.customer_shift)
        .where(c.customer_id == customer_id, c.effective_from <= first)
        .order_by(c.effective_from.desc())
        .limit(1)
    )
    confirmed = (await work.db.execute(query)).first()
    return schemas.ShiftSeen(
        month=month,
        proposed_shift=shift,
        proposed_shutdown_days=days,
        confirmed_shift=confirmed.shift if confirmed else None,
        confirmed_shutdown_days=confirmed.shutdown_days if confirmed else [],
        confirmed_from=confirmed.effective_from if confirmed else None,
        status="confirmed" if confirmed else "proposed",
    )


async def _proposed(work: UnitOfWork, customer_id: str, first: date) -> tuple[Shift | None, list[date]]:
    f = t.month_facts.c
    query = select(f.facts).where(f.customer_id == customer_id, f.month == first)
    stored: bytes = (await work.db.execute(query)).scalar_one_or_none() or b""
    if not stored:
        return None, []
    (facts,) = decode([stored])
    slots = 1440 // int(facts["step_minutes"])
    days = range(int(facts["days"]))
    whole = facts["day_present"] == slots
    totals = [int(facts["day_total"][n]) if whole[n] else None for n in days]
    profile = facts["profile"][:slots].astype(np.int64).tolist()
    return shift_of(profile_wh=profile), [first + timedelta(days=n) for n in shutdown_days(day_totals_wh=totals)]


async def confirm_shift(work: UnitOfWork, *, customer_id: str, body: schemas.ShiftConfirmed) -> None:
    """Scores use it from their next run on; what was scored before stays as it was."""
    first = month_start(body.from_month)
    if first > shifted(local_day(work.now), months=1):
        raise InvalidInput(zh="生效月份不得晚于下月。", en="It may begin next month at the latest.", field="from_month")
    values = {
        "shift": body.shift,
        "shutdown_days": sorted(set(body.shutdown_days)),
        "confirmed_by": work.actor.person_id,
        "confirmed_at": work.now,
    }
    statement = upsert(t.customer_shift).values(customer_id=customer_id, effective_from=first, **values)
    await work.db.execute(
        statement.on_conflict_do_update(index_elements=["customer_id", "effective_from"], set_=values)
    )
    await work.audit(
        action="shift-confirmed", object_type="customer", object_id=customer_id, owner_id=customer_id,
        after={"from_month": body.from_month, "shift": body.shift},
    )  # fmt: skip
