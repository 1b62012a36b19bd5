"""Outages as they touch customers: sets in parts, newer versions, cancellations and restorations in any order."""

from datetime import datetime
from typing import Literal

from sqlalchemy import case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.outage import AffectedPart
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.happenings import reassess_all


async def take_outage(
    work: UnitOfWork,
    *,
    outage_id: str,
    kind: Literal["fault", "planned"],
    started_at: datetime,
    affected: AffectedPart,
    ended_at: datetime | None = None,
    cancelled: bool = False,
) -> None:
    """Note the outage at every customer of the part; whoever the newest complete version lacks is taken out.

    The newest version says when a planned outage starts; of a fault the earliest start and the end count.
    """
    # Parts of one set may be applied at the same time: without taking turns neither would see the set complete.
    await work.db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(affected.set_id, 0))))
    touched = {a.customer_id for a in affected.affected}
    rows = [
        {
            "outage_id": outage_id,
            "customer_id": customer_id,
            "kind": kind,
            "set_version": affected.set_version,
            "started_at": started_at,
            "ended_at": ended_at,
            "cancelled": cancelled,
        }
        for customer_id in sorted(touched)
    ]
    if rows:
        statement = upsert(t.customer_outage).values(rows)
        known, new = t.customer_outage.c, statement.excluded
        newer = new.set_version >= known.set_version
        start = (
            func.least(known.started_at, new.started_at)
            if kind == "fault"
            else case((newer, new.started_at), else_=known.started_at)
        )
        await work.db.execute(
            statement.on_conflict_do_update(
                index_elements=["outage_id", "customer_id"],
                set_={
                    "set_version": func.greatest(known.set_version, new.set_version),
                    "started_at": start,
                    "ended_at": func.greatest(known.ended_at, new.ended_at),
                    "cancelled": or_(known.cancelled, new.cancelled),
                },
            )
        )
    touched |= await _withdrawn(work, outage_id=outage_id, affected=affected)
    await reassess_all(work, customer_ids=touched)


async def _withdrawn(work: UnitOfWork, *, outage_id: str, affected: AffectedPart) -> set[str]:
    """The customers whom the newest version with all its parts no longer names; a late older part adds nobody."""
    p, o = t.outage_part, t.customer_outage
    part = {
        "set_id": affected.set_id,
        "set_version": affected.set_version,
        "part": affected.part,
        "parts": affected.parts,
    }
    await work.db.execute(upsert(p).values(part).on_conflict_do_nothing())
    complete = (
        select(p.c.set_version)
        .where(p.c.set_id == affected.set_id)
        .group_by(p.c.set_version)
        .having(func.count() == func.max(p.c.parts))
        .order_by(p.c.set_version.desc())
        .limit(1)
    )
    newest: int | None = (await work.db.execute(complete)).scalar_one_or_none()
    if newest is None:
        return set()
    gone = await work.db.execute(
        delete(o).where(o.c.outage_id == outage_id, o.c.set_version < newest).returning(o.c.customer_id)
    )
    return set(gone.scalars())
