"""Reads for the API. Every query of customer rows filters by the caller's scope; row-level security repeats it."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.portrait import schemas
from services.portrait import tables as t
from services.portrait.metering.curves import read_curves
from services.portrait.rules.day_block import CHANNELS, MISSING

_OF_AN_ACCOUNT = tuple(schemas.AccountLine.model_fields)


async def customer_page(work: UnitOfWork, *, after: str, limit: int) -> schemas.CustomerPage:
    p = t.profile.c
    found = await work.db.execute(
        select(t.profile)
        .where(p.customer_id > after, p.body.is_not(None), visible(p.customer_id, work=work))
        .order_by(p.customer_id)
        .limit(limit + 1)
    )
    rows = found.all()
    items = [
        schemas.CustomerLine(
            customer_id=row.customer_id,
            name=row.name,
            key_account=row.key_account,
            importance_grade=row.body["importance_grade"],
            classes=row.classes,
            attention_level=row.attention_level,
        )
        for row in rows[:limit]
    ]
    return schemas.CustomerPage(items=items, next_after=items[-1].customer_id if len(rows) > limit else None)


async def profile_of(work: UnitOfWork, *, customer_id: str) -> Row[Any]:
    """Raises NotFound, also for a customer outside the caller's scope."""
    p = t.profile.c
    found = await work.db.execute(
        select(t.profile).where(p.customer_id == customer_id, p.body.is_not(None), visible(p.customer_id, work=work))
    )
    row = found.first()
    if row is None:
        raise NotFound(what_zh="客户", what_en="customer", field="customer_id")
    return row


def accounts_of(profile: Row[Any]) -> list[schemas.AccountLine]:
    return [
        schemas.AccountLine(**{name: account[name] for name in _OF_AN_ACCOUNT}) for account in profile.body["accounts"]
    ]


async def day_curves(work: UnitOfWork, *, customer_id: str, day: date) -> schemas.DayCurves:
    """The curves of the usage points that the customer held on `day`."""
    h = t.usage_point_holder.c
    found = await work.db.execute(
        select(h.usage_point_id)
        .where(
            h.customer_id == customer_id,
            h.from_day <= day,
            h.to_day.is_(None) | (h.to_day > day),
            visible(h.customer_id, work=work),
        )
        .order_by(h.usage_point_id)
    )
    curves = await read_curves(
        await work.raw(),
        usage_point_ids=list(found.scalars()),
        channel=CHANNELS["active-import"],
        from_day=day,
        to_day=day + timedelta(days=1),
    )
    return schemas.DayCurves(
        customer_id=customer_id,
        day=day,
        curves=[
            schemas.PointCurve(
                usage_point_id=point,
                step_minutes=curve.step_minutes,
                energy_wh=[None if wh == MISSING else wh for wh in curve.energy_wh[0].tolist()],
            )
            for point, curve in sorted(curves.items())
        ],
    )
