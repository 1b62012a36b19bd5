"""A planned outage: a planner enters it in time, a job under the worker's login finds all it touches and says it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, exists, false, func, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.notify import PlannedNoticeProven, PlannedNoticeUnproven
from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput, NotFound, Problem
from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.outage import events_out
from services.outage.membership import known_members, points_without_supply
from services.outage.queries import sees_feeder
from services.outage.rules.notice import in_time, required_notice
from services.outage.tables import feeder, planned_affected, planned_notice, planned_outage


class NoticeTooShort(Problem):
    status = 422
    code = "notice-too-short"


async def accept(
    work: UnitOfWork,
    *,
    feeder_id: str,
    section_ids: Sequence[str],
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    temporary: bool,
) -> str:
    """Its id. Raises `NotFound` for feeders outside the caller's areas, `NoticeTooShort`, `InvalidInput`."""
    await _check_network(work, feeder_id=feeder_id, section_ids=section_ids)
    if ends_at <= starts_at:
        raise InvalidInput(zh="ends_at 须晚于 starts_at。", en="ends_at must be later than starts_at.", field="ends_at")
    if not in_time(now=work.now, starts_at=starts_at, temporary=temporary):
        hours = int(required_notice(starts_at=starts_at, temporary=temporary).total_seconds() // 3600)
        raise NoticeTooShort(
            zh=f"须提前至少 {hours} 小时通知用户，请推迟 starts_at。",
            en=f"Users need notice of at least {hours} hours; move starts_at.",
            field="starts_at",
        )
    outage_id = str(work.new_id("planned-outage"))
    row = {
        "outage_id": outage_id, "version": 1, "feeder_id": feeder_id, "section_ids": sorted(set(section_ids)),
        "starts_at": starts_at, "ends_at": ends_at, "reason": reason, "temporary": temporary, "status": "accepted",
    }  # fmt: skip
    await work.db.execute(planned_outage.insert().values(row))
    await work.audit(action="planned-outage-accepted", object_type="outage", object_id=outage_id, after=row)
    return outage_id


async def _check_network(work: UnitOfWork, *, feeder_id: str, section_ids: Sequence[str]) -> None:
    find = select(feeder.c.section_ids).where(feeder.c.feeder_id == feeder_id, sees_feeder(work))
    known = (await work.db.execute(find)).first()
    if known is None:
        raise NotFound(what_zh="馈线", what_en="feeder", field="feeder_id")
    if strange := sorted(set(section_ids) - set(known.section_ids)):
        raise InvalidInput(
            zh=f"馈线 {feeder_id} 没有区段 {strange[0]}，请核对 section_ids。",
            en=f"Feeder {feeder_id} has no section {strange[0]}; correct section_ids.",
            field="section_ids",
        )


async def publish_accepted(run: JobRun) -> None:
    """One plan per transaction: the planner's own scope may be smaller than the feeder, the announcement is not."""
    accepted = select(planned_outage.c.outage_id).where(planned_outage.c.status == "accepted")
    async with run.chunk("find") as work:
        ids = sorted((await work.db.execute(accepted)).scalars())
    for outage_id in ids:
        async with run.chunk(outage_id) as work:
            await publish(work, outage_id=outage_id)


async def publish(work: UnitOfWork, *, outage_id: str) -> None:
    """Say an accepted plan once."""
    plan = planned_outage
    find = select(plan).where(plan.c.outage_id == outage_id, plan.c.status == "accepted").with_for_update()
    row = (await work.db.execute(find)).first()
    if row is None:
        return
    points = await points_without_supply(work, feeder_id=row.feeder_id, section_ids=row.section_ids)
    members = await known_members(work, usage_point_ids=points)
    if members:
        await work.db.execute(planned_affected.insert(), [{"outage_id": outage_id, **vars(m)} for m in members])
    await work.db.execute(update(plan).where(plan.c.outage_id == outage_id).values(status="published"))
    await work.audit(action="planned-outage-published", object_type="outage", object_id=outage_id)
    events_out.say_planned(work, plan=row, members=members)


async def block(work: UnitOfWork, *, unproven: PlannedNoticeUnproven) -> None:
    """The plan may not begin for a customer of whom nobody can show that they know."""
    await _note(
        work, outage_id=unproven.outage_id, customer_id=unproven.customer_id, important=unproven.important,
        required_by=unproven.required_by, unproven_at=unproven.occurred_at,
    )  # fmt: skip


async def unblock(work: UnitOfWork, *, proven: PlannedNoticeProven) -> None:
    """Proof in time lifts the block; late proof is noted and leaves the decision to the planner."""
    await _note(
        work, outage_id=proven.outage_id, customer_id=proven.customer_id, proven_at=proven.occurred_at,
        in_time=proven.in_time,
    )  # fmt: skip


async def _note(work: UnitOfWork, *, outage_id: str, customer_id: str, **said: Any) -> None:
    """The two words may come in any order and repeated: the later moment of each kind stays."""
    put = upsert(planned_notice).values(outage_id=outage_id, customer_id=customer_id, **said)
    moment = "unproven_at" if "unproven_at" in said else "proven_at"
    newer = func.coalesce(planned_notice.c[moment], put.excluded[moment]) <= put.excluded[moment]
    await work.db.execute(
        put.on_conflict_do_update(index_elements=["outage_id", "customer_id"], set_=said, where=newer)
    )


async def blocks(work: UnitOfWork, *, outage_id: str) -> list[Row[Any]]:
    """Customers for whom the plan is blocked. Raises `NotFound` for a plan that touches nothing the caller sees."""
    n = planned_notice.c
    own_notice = exists().where(n.outage_id == outage_id, visible(n.customer_id, work=work))
    p = planned_outage.c
    own_feeder = exists().where(p.outage_id == outage_id, feeder.c.feeder_id == p.feeder_id, sees_feeder(work))
    if not (await work.db.execute(select(or_(own_notice, own_feeder)))).scalar_one():
        raise NotFound(what_zh="计划停电", what_en="planned outage", field="outage_id")
    answered = and_(n.in_time.is_(True), n.proven_at >= n.unproven_at)
    query = select(planned_notice).where(
        n.outage_id == outage_id, n.unproven_at.is_not(None), not_(func.coalesce(answered, false())),
        visible(n.customer_id, work=work),
    )  # fmt: skip
    return list((await work.db.execute(query.order_by(n.customer_id))).all())
