"""Reads, each within the caller's scope."""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, Select, exists, func, or_, select
from sqlalchemy.sql import ColumnElement, true

from services.kernel.auth.grants import visible
from services.kernel.work import UnitOfWork
from services.outage.rules.reliability import Interruption
from services.outage.tables import affected, customer, feeder, notice, outage, supply_alarm, usage_point

Unit = Literal["customer", "mv_user"]


def sees_feeder(work: UnitOfWork) -> ColumnElement[bool]:
    """Feeders of the caller's areas; a customer's own people see none as such."""
    return true() if work.scope.everything else feeder.c.area_id.in_(sorted(work.scope.areas))


def sees_outage(work: UnitOfWork) -> ColumnElement[bool]:
    """Outages that touch a visible customer, or whose feeder lies in the caller's areas."""
    if work.scope.everything:
        return true()
    touched = exists().where(affected.c.outage_id == outage.c.outage_id, visible(affected.c.customer_id, work=work))
    own_feeder = exists().where(feeder.c.feeder_id == outage.c.feeder_id, sees_feeder(work))
    return or_(touched, own_feeder)


def _summaries(work: UnitOfWork) -> Select[Any]:
    points = (
        select(func.count())
        .where(affected.c.outage_id == outage.c.outage_id, visible(affected.c.customer_id, work=work))
        .scalar_subquery()
    )
    return select(outage, points.label("affected_points")).where(sees_outage(work))


async def outages(work: UnitOfWork, *, status: str | None, before: datetime | None, limit: int) -> list[Row[Any]]:
    """Newest first."""
    query = _summaries(work).order_by(outage.c.detected_at.desc(), outage.c.outage_id).limit(limit)
    if status is not None:
        query = query.where(outage.c.status == status)
    if before is not None:
        query = query.where(outage.c.detected_at < before)
    return list((await work.db.execute(query)).all())


async def one_outage(work: UnitOfWork, *, outage_id: str) -> Row[Any] | None:
    found: Row[Any] | None = (await work.db.execute(_summaries(work).where(outage.c.outage_id == outage_id))).first()
    return found


async def affected_points(work: UnitOfWork, *, outage_id: str) -> list[Row[Any]]:
    """In the order of priority in which they were found."""
    query = (
        select(affected, supply_alarm.c.lost_at, supply_alarm.c.back_at)
        .join_from(affected, supply_alarm, supply_alarm.c.usage_point_id == affected.c.usage_point_id, isouter=True)
        .where(affected.c.outage_id == outage_id, visible(affected.c.customer_id, work=work))
        .order_by(affected.c.position)
    )
    return list((await work.db.execute(query)).all())


async def notices(work: UnitOfWork, *, outage_id: str) -> list[Row[Any]]:
    own = visible(notice.c.customer_id, work=work)
    query = (
        select(notice).where(notice.c.outage_id == outage_id, own).order_by(notice.c.delivery_id, notice.c.customer_id)
    )
    return list((await work.db.execute(query)).all())


async def customer_exists(work: UnitOfWork, *, customer_id: str) -> bool:
    own = visible(customer.c.customer_id, work=work)
    query = select(customer.c.customer_id).where(customer.c.customer_id == customer_id, own)
    return (await work.db.execute(query)).first() is not None


async def customer_outages(work: UnitOfWork, *, customer_id: str) -> list[Row[Any]]:
    """The last 200 fault outages of one customer, newest first."""
    mine = exists().where(affected.c.outage_id == outage.c.outage_id, affected.c.customer_id == customer_id)
    query = _summaries(work).where(mine).order_by(outage.c.detected_at.desc(), outage.c.outage_id).limit(200)
    return list((await work.db.execute(query)).all())


async def outage_load(work: UnitOfWork, *, customer_id: str, window: timedelta) -> tuple[int, float]:
    """How often and how many hours in all the customer was without supply in the window up to now."""
    until = func.coalesce(outage.c.restored_at, work.now)
    begun = func.greatest(outage.c.detected_at, work.now - window)
    hours = func.coalesce(func.sum(func.greatest(func.extract("epoch", until - begun), 0)), 0) / 3600
    mine = exists().where(
        affected.c.outage_id == outage.c.outage_id,
        affected.c.customer_id == customer_id,
        visible(affected.c.customer_id, work=work),
    )
    query = select(func.count(), hours).where(mine, until > work.now - window)
    count, total = (await work.db.execute(query)).one()
    return count, float(total)


async def users(work: UnitOfWork, *, unit: Unit) -> int:
    column = usage_point.c.customer_id if unit == "customer" else usage_point.c.usage_point_id
    query = select(func.count(column.distinct())).where(visible(usage_point.c.customer_id, work=work))
    return int((await work.db.execute(query)).scalar_one())


async def interruptions(work: UnitOfWork, *, period: tuple[datetime, datetime], unit: Unit) -> list[Interruption]:
    """Fault outages that reach into the period; one not over yet lasts until now."""
    column = affected.c.customer_id if unit == "customer" else affected.c.usage_point_id
    until = func.coalesce(outage.c.restored_at, func.greatest(work.now, outage.c.detected_at))
    query = (
        select(func.count(column.distinct()), outage.c.detected_at, until)
        .join_from(outage, affected, affected.c.outage_id == outage.c.outage_id)
        .where(outage.c.detected_at < period[1], until > period[0], visible(affected.c.customer_id, work=work))
        .group_by(outage.c.outage_id)
        .order_by(outage.c.detected_at)
    )
    return [Interruption(users=n, starts_at=a, ends_at=b) for n, a, b in await work.db.execute(query)]
