"""A job under the worker's login finds all whom a plan touches and says the plan, its change or its end."""

from typing import Any

from sqlalchemy import Row, delete, select, update

from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.outage import events_out
from services.outage.membership import Member, known_members, points_without_supply
from services.outage.tables import planned_affected, planned_notice, planned_outage


async def say_unsaid(run: JobRun) -> None:
    """One plan per transaction: the planner's own scope may be smaller than the feeder, the announcement is not."""
    p = planned_outage.c
    async with run.chunk("find") as work:
        ids = sorted((await work.db.execute(select(p.outage_id).where(p.version > p.said_version))).scalars())
    for outage_id in ids:
        async with run.chunk(outage_id) as work:
            await announce(work, outage_id=outage_id)


async def announce(work: UnitOfWork, *, outage_id: str) -> None:
    """Say the newest version of the plan once; versions between that nobody heard are left out."""
    p = planned_outage.c
    find = select(planned_outage).where(p.outage_id == outage_id, p.version > p.said_version).with_for_update()
    row = (await work.db.execute(find)).first()
    if row is None:
        return
    if row.status == "cancelled":
        events_out.say_plan_cancelled(work, plan=row, members=await _told_members(work, outage_id=outage_id))
        said = {"said_version": row.version}
    else:
        members = await _touched(work, row)
        say = events_out.say_planned if row.said_version == 0 else events_out.say_plan_changed
        say(work, plan=row, members=members)
        customers = len({m.customer_id for m in members})
        said = {"said_version": row.version, "status": "published", "unproven_customers": customers}
    await work.db.execute(update(planned_outage).where(p.outage_id == outage_id).values(said))
    action = {0: "planned-outage-published"}.get(row.said_version, "planned-outage-correction-said")
    await work.audit(action=action, object_type="outage", object_id=outage_id, after={"version": row.version})


async def _touched(work: UnitOfWork, row: Row[Any]) -> list[Member]:
    """As the network is now; what was proven of an earlier version proves nothing of this one."""
    points = await points_without_supply(work, feeder_id=row.feeder_id, section_ids=row.section_ids)
    members = await known_members(work, usage_point_ids=points)
    for table in (planned_affected, planned_notice):
        await work.db.execute(delete(table).where(table.c.outage_id == row.outage_id))
    if members:
        rows = [{"outage_id": row.outage_id, "position": n, **vars(m)} for n, m in enumerate(members)]
        await work.db.execute(planned_affected.insert(), rows)
    return members


async def _told_members(work: UnitOfWork, *, outage_id: str) -> list[Member]:
    """Those whom the last announcement named, in its order."""
    a = planned_affected.c
    query = select(planned_affected).where(a.outage_id == outage_id).order_by(a.position, a.usage_point_id)
    return [
        Member(usage_point_id=r.usage_point_id, account_id=r.account_id, customer_id=r.customer_id)
        for r in await work.db.execute(query)
    ]
