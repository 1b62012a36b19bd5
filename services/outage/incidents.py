"""A fault outage from detection to restoration: found once per fault, its set grown when owners become known."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, String, any_, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.grid import FaultDetected, SupplyRestored
from services.kernel.errors import Conflict, InvalidInput, NotFound
from services.kernel.wire import Poison, WaitingFor
from services.kernel.work import UnitOfWork
from services.outage import events_out
from services.outage.membership import Member, known_members, points_without_supply
from services.outage.queries import sees_outage
from services.outage.tables import affected, feeder, outage, unknown_point
from services.outage.views import MEMBERSHIP


async def detect(work: UnitOfWork, *, fault: FaultDetected) -> None:
    """Open the fault's outage and say whom it touches; a fault told again changes nothing.

    Raises `WaitingFor` while the feeder or one of its sections is not known.
    """
    await work.db.execute(text(f"SELECT pg_advisory_xact_lock({MEMBERSHIP})"))
    await _hold_network(work, fault=fault)
    row = await _open(work, fault=fault)
    if row is None:
        return
    points = await points_without_supply(work, feeder_id=fault.feeder_id, section_ids=fault.section_ids)
    members = await known_members(work, usage_point_ids=points)
    await _add_members(work, outage_id=row.outage_id, members=members, first_position=0)
    owned = {m.usage_point_id for m in members}
    unknown = [{"outage_id": row.outage_id, "usage_point_id": p} for p in points if p not in owned]
    if unknown:
        await work.db.execute(unknown_point.insert(), unknown)
    await work.audit(action="outage-detected", object_type="outage", object_id=row.outage_id, after=dict(row._mapping))
    events_out.say_detected(work, outage=row, members=members)
    work.arrived("fault", fault.fault_id)


async def _hold_network(work: UnitOfWork, *, fault: FaultDetected) -> None:
    """Keep the feeder's sections as they are until the set is found; a section nobody announced would find nobody."""
    find = select(feeder.c.section_ids).where(feeder.c.feeder_id == fault.feeder_id).with_for_update(read=True)
    known = (await work.db.execute(find)).first()
    if known is None:
        raise WaitingFor("feeder", fault.feeder_id)
    for section_id in sorted(set(fault.section_ids) - set(known.section_ids)):
        raise WaitingFor("feeder-section", f"{fault.feeder_id}/{section_id}")


async def _open(work: UnitOfWork, *, fault: FaultDetected) -> Row[Any] | None:
    """The new outage, or None if the fault has one."""
    add = upsert(outage).values(
        outage_id=str(work.new_id(f"outage|{fault.fault_id}")),
        fault_id=fault.fault_id,
        feeder_id=fault.feeder_id,
        cause=fault.cause,
        detected_at=fault.detected_at,
        status="open",
        set_version=1,
    )
    once = add.on_conflict_do_nothing(index_elements=["fault_id"]).returning(outage)
    row: Row[Any] | None = (await work.db.execute(once)).first()
    return row


async def restore(work: UnitOfWork, *, restored: SupplyRestored) -> None:
    """Close the fault's outage; the first restoration counts.

    Raises `WaitingFor` before the fault itself has come, `Poison` when it ends before it began.
    """
    find = select(outage).where(outage.c.fault_id == restored.fault_id).with_for_update()
    row = (await work.db.execute(find)).first()
    if row is None:
        raise WaitingFor("fault", restored.fault_id)
    if restored.restored_at < row.detected_at:
        raise Poison("restored-before-detected", f"restored_at: earlier than {row.detected_at.isoformat()}; correct it")
    if row.status == "restored":
        return
    close = update(outage).where(outage.c.outage_id == row.outage_id)
    values = {"restored_at": restored.restored_at, "status": "restored"}
    closed = (await work.db.execute(close.values(values).returning(outage))).one()
    await work.audit(action="outage-restored", object_type="outage", object_id=row.outage_id, after=values)
    events_out.say_restored(work, outage=closed, members=await members_of(work, outage_id=row.outage_id))


async def add_points_now_known(work: UnitOfWork, *, usage_point_ids: Sequence[str]) -> None:
    """Points that lost supply before their owner was known join their outages, each with a new set version."""
    waiting = any_(literal(sorted(usage_point_ids), ARRAY(String)))
    find = select(unknown_point.c.outage_id).where(unknown_point.c.usage_point_id == waiting).distinct()
    for outage_id in sorted((await work.db.execute(find)).scalars()):
        lock = select(outage.c.outage_id).where(outage.c.outage_id == outage_id).with_for_update()
        await work.db.execute(lock)
        take = delete(unknown_point).where(
            unknown_point.c.outage_id == outage_id, unknown_point.c.usage_point_id == waiting
        )
        taken = list((await work.db.execute(take.returning(unknown_point.c.usage_point_id))).scalars())
        if taken:
            await _grow(work, outage_id=outage_id, usage_point_ids=taken)


async def _grow(work: UnitOfWork, *, outage_id: str, usage_point_ids: Sequence[str]) -> None:
    last = select(func.coalesce(func.max(affected.c.position), -1)).where(affected.c.outage_id == outage_id)
    position = (await work.db.execute(last)).scalar_one() + 1
    added = await known_members(work, usage_point_ids=usage_point_ids)
    await _add_members(work, outage_id=outage_id, members=added, first_position=position)
    raised = update(outage).where(outage.c.outage_id == outage_id).values(set_version=outage.c.set_version + 1)
    row = (await work.db.execute(raised.returning(outage))).one()
    await work.audit(
        action="outage-set-grown", object_type="outage", object_id=outage_id, after={"set_version": row.set_version}
    )
    say = events_out.say_detected if row.status == "open" else events_out.say_restored
    say(work, outage=row, members=await members_of(work, outage_id=outage_id))


async def estimate(work: UnitOfWork, *, outage_id: str, expected_at: datetime) -> None:
    """Tell when supply is expected back. Raises `NotFound`, `Conflict` (over already), `InvalidInput` (in the past)."""
    find = select(outage).where(outage.c.outage_id == outage_id, sees_outage(work)).with_for_update(of=outage)
    row = (await work.db.execute(find)).first()
    if row is None:
        raise NotFound(what_zh="停电事件", what_en="outage", field="outage_id")
    if row.status != "open":
        raise Conflict(zh="该停电已恢复供电，无需再预计。", en="Supply is back already; nothing to estimate.")
    if expected_at <= work.now:
        raise InvalidInput(
            zh="预计复电时间须晚于当前时间，请修正 expected_at。",
            en="expected_at must lie in the future; correct it.",
            field="expected_at",
        )
    values = {"estimated_at": work.now, "expected_at": expected_at}
    await work.db.execute(update(outage).where(outage.c.outage_id == outage_id).values(values))
    await work.audit(
        action="restoration-estimated",
        object_type="outage",
        object_id=outage_id,
        before={"expected_at": row.expected_at},
        after=values,
    )
    events_out.say_estimated(work, outage=row, expected_at=expected_at)


async def members_of(work: UnitOfWork, *, outage_id: str) -> list[Member]:
    """The whole set, for events; in the order in which it was found."""
    query = select(affected).where(affected.c.outage_id == outage_id).order_by(affected.c.position)
    return [
        Member(usage_point_id=r.usage_point_id, account_id=r.account_id, customer_id=r.customer_id)
        for r in await work.db.execute(query)
    ]


async def _add_members(work: UnitOfWork, *, outage_id: str, members: Sequence[Member], first_position: int) -> None:
    rows = [
        {"outage_id": outage_id, "position": position, **vars(member)}
        for position, member in enumerate(members, start=first_position)
    ]
    if rows:
        await work.db.execute(affected.insert(), rows)
