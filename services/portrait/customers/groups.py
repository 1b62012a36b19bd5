"""A group of enterprises rolled up from its members."""

from collections import Counter
from decimal import Decimal

from sqlalchemy import func, select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers import schemas
from services.portrait.customers.calendar import local_day, months_up_to, shifted

MONTHS = 24


async def group(work: UnitOfWork, *, group_id: str) -> schemas.Group:
    """Raises NotFound, also when no member lies in the caller's scope."""
    c = t.customer.c
    members = select(c.customer_id).where(c.group_id == group_id, visible(c.customer_id, work=work))
    ids = sorted((await work.db.execute(members)).scalars())
    if not ids:
        raise NotFound(what_zh="集团", what_en="group", field="group_id")
    p, h, a = t.profile.c, t.open_hazard.c, t.arrears.c
    profiles = (await work.db.execute(select(t.profile).where(p.customer_id.in_(ids), p.body.is_not(None)))).all()
    hazards = select(func.count()).where(h.customer_id.in_(ids), h.status.not_in(("closed", "voided")))
    owing = select(func.count(a.customer_id.distinct())).where(
        a.customer_id.in_(ids), a.since.is_not(None), a.cleared_at.is_(None)
    )
    capacities = [Decimal(x["contract_capacity_kva"]) for row in profiles for x in row.body["accounts"]]
    return schemas.Group(
        group_id=group_id,
        customer_ids=ids,
        contract_capacity_kva=sum(capacities, Decimal(0)),
        months=await _months(work, ids),
        classes=dict(Counter(name for row in profiles for name in row.classes)),
        open_hazards=(await work.db.execute(hazards)).scalar_one(),
        in_arrears=(await work.db.execute(owing)).scalar_one(),
        highest_attention_level=max((row.attention_level for row in profiles), default=0),
    )


async def _months(work: UnitOfWork, ids: list[str]) -> list[schemas.GroupMonth]:
    u = t.monthly_usage.c
    wanted = months_up_to(shifted(local_day(work.now), months=0), count=MONTHS)
    found = await work.db.execute(
        select(u.month, func.sum(u.energy_wh), func.count())
        .where(u.customer_id.in_(ids), u.month.in_(wanted))
        .group_by(u.month)
        .order_by(u.month)
    )
    return [schemas.GroupMonth(month=month, energy_wh=int(wh), customers=n) for month, wh, n in found]
