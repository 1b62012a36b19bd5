"""Who is shown to know of a plan: the words of notify, and how many customers of the plan are still open.

The number stands on the plan itself: who starts it may see fewer customers than the plan touches.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement, true

from services.contracts.notify import PlannedNoticeProven, PlannedNoticeUnproven
from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.outage.queries import sees_feeder
from services.outage.rules.starting import Standing, standing
from services.outage.tables import feeder, planned_affected, planned_notice, planned_outage


async def block(work: UnitOfWork, *, unproven: PlannedNoticeUnproven) -> None:
    """The plan may not begin for a customer of whom nobody can show that they know."""
    await _note(
        work, unproven, moment="unproven_at", unproven_at=unproven.occurred_at, important=unproven.important,
        required_by=unproven.required_by,
    )  # fmt: skip


async def unblock(work: UnitOfWork, *, proven: PlannedNoticeProven) -> None:
    """Proof in time closes the customer; late proof is noted and leaves it open."""
    await _note(
        work, proven, moment="proven_at", proven_at=proven.occurred_at, in_time=proven.in_time, level=proven.level
    )


async def _note(
    work: UnitOfWork, event: PlannedNoticeUnproven | PlannedNoticeProven, *, moment: str, **said: Any
) -> None:
    """The two words may come in any order and repeated: the later moment of each kind stays."""
    p, n = planned_outage.c, planned_notice.c
    find = select(p.said_version).where(p.outage_id == event.outage_id).with_for_update()
    announced = (await work.db.execute(find)).scalar_one_or_none()
    if announced is not None and event.plan_version is not None and event.plan_version < announced:
        return  # of a window that is no longer announced
    mine = (n.outage_id == event.outage_id, n.customer_id == event.customer_id)
    before = (await work.db.execute(select(planned_notice).where(*mine))).first()
    if before is not None and (was := getattr(before, moment)) is not None and was > said[moment]:
        return
    put = upsert(planned_notice).values(outage_id=event.outage_id, customer_id=event.customer_id, **said)
    kept = put.on_conflict_do_update(index_elements=["outage_id", "customer_id"], set_=said).returning(planned_notice)
    after = (await work.db.execute(kept)).one()
    closed = (standing_of(after) is Standing.PROVEN) - (standing_of(before) is Standing.PROVEN)
    a = planned_affected.c
    touched = exists().where(a.outage_id == event.outage_id, a.customer_id == event.customer_id)
    count = update(planned_outage).where(p.outage_id == event.outage_id, touched)
    await work.db.execute(count.values(unproven_customers=p.unproven_customers - closed))


def standing_of(row: Row[Any] | None) -> Standing:
    if row is None:
        return Standing.PENDING
    return standing(unproven_at=row.unproven_at, proven_at=row.proven_at, known_in_time=row.in_time)


async def plan_of(work: UnitOfWork, *, outage_id: str) -> Row[Any]:
    """Raises `NotFound` for a plan that touches nothing the caller sees."""
    find = select(planned_outage).where(planned_outage.c.outage_id == outage_id, _sees_plan(work))
    row = (await work.db.execute(find)).first()
    if row is None:
        raise NotFound(what_zh="计划停电", what_en="planned outage", field="outage_id")
    return row


async def plans(work: UnitOfWork, *, status: str | None, before: datetime | None, limit: int) -> list[Row[Any]]:
    p = planned_outage.c
    query = select(planned_outage).where(_sees_plan(work)).order_by(p.starts_at.desc(), p.outage_id).limit(limit)
    if status is not None:
        query = query.where(p.status == status)
    if before is not None:
        query = query.where(p.starts_at < before)
    return list((await work.db.execute(query)).all())


def _sees_plan(work: UnitOfWork) -> ColumnElement[bool]:
    if work.scope.everything:
        return true()
    p, a = planned_outage.c, planned_affected.c
    touched = exists().where(a.outage_id == p.outage_id, visible(a.customer_id, work=work))
    own_feeder = exists().where(feeder.c.feeder_id == p.feeder_id, sees_feeder(work))
    return or_(touched, own_feeder)


async def customers_of(work: UnitOfWork, *, outage_id: str) -> list[Row[Any]]:
    """The customers of the plan within the caller's scope, with what notify said of each."""
    a, n = planned_affected.c, planned_notice.c
    named = (
        select(a.customer_id)
        .where(a.outage_id == outage_id, visible(a.customer_id, work=work))
        .distinct()
        .subquery()
    )  # fmt: skip
    same = (n.customer_id == named.c.customer_id) & (n.outage_id == outage_id)
    query: Select[Any] = select(
        named.c.customer_id, n.important, n.required_by, n.unproven_at, n.proven_at, n.in_time, n.level
    ).join_from(named, planned_notice, same, isouter=True)
    return list((await work.db.execute(query.order_by(named.c.customer_id))).all())
