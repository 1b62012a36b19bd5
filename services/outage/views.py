"""Outage's own picture of customers, network, meters and messages, kept from the others' events."""

from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.grid import FeederChanged, FeederLoadRecorded
from services.contracts.notify import MessageAccepted, MessageDelivered
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.auth.grants import set_owner_areas
from services.kernel.wire import WaitingFor
from services.kernel.work import UnitOfWork
from services.outage.tables import (
    customer,
    feeder,
    feeder_load,
    feeder_section_point,
    notice,
    supply_alarm,
    usage_point,
    usage_point_feeder,
)

MEMBERSHIP = "hashtextextended('keyline-outage-membership', 0)"
"""Profiles take this lock shared, a fault exclusively: no point can become known between a fault's two looks."""


async def store_profile(work: UnitOfWork, *, profile: CustomerProfileChanged) -> None:
    """Replace all that is known of the customer; wakes alarms that waited for its usage points."""
    await work.db.execute(text(f"SELECT pg_advisory_xact_lock_shared({MEMBERSHIP})"))
    row = {
        "customer_id": profile.customer_id,
        "name": profile.name,
        "key_account": profile.key_account,
        "importance_grade": profile.importance_grade,
        "high_reliability": "high-reliability" in profile.classes,
        "attention_level": profile.attention_level,
        "mean_load_kw": profile.mean_load_kw,
    }
    await work.db.execute(upsert(customer).values(row).on_conflict_do_update(index_elements=["customer_id"], set_=row))
    await set_owner_areas(
        work, owner_id=profile.customer_id, area_ids=[account.service_area_id for account in profile.accounts]
    )
    await _store_points(work, profile=profile)


async def _store_points(work: UnitOfWork, *, profile: CustomerProfileChanged) -> None:
    of_customer = usage_point.c.customer_id == profile.customer_id
    removed = await work.db.execute(delete(usage_point).where(of_customer).returning(usage_point.c.usage_point_id))
    before = set(removed.scalars())
    await work.db.execute(delete(usage_point_feeder).where(usage_point_feeder.c.customer_id == profile.customer_id))
    points = sorted(profile.usage_points, key=lambda p: p.usage_point_id)
    rows = [
        {
            "usage_point_id": p.usage_point_id,
            "account_id": p.account_id,
            "customer_id": profile.customer_id,
            "site_id": p.site_id,
        }
        for p in points
    ]
    if rows:
        add = upsert(usage_point)
        changed = {name: add.excluded[name] for name in ("account_id", "customer_id", "site_id")}
        await work.db.execute(add.on_conflict_do_update(index_elements=["usage_point_id"], set_=changed), rows)
    links = [
        {"usage_point_id": p.usage_point_id, "feeder_id": f, "customer_id": profile.customer_id}
        for p in points
        for f in sorted(set(p.feeder_ids))
    ]
    if links:
        link = upsert(usage_point_feeder)
        await work.db.execute(
            link.on_conflict_do_update(
                index_elements=["usage_point_id", "feeder_id"], set_={"customer_id": link.excluded.customer_id}
            ),
            links,
        )
    for p in points:
        if p.usage_point_id not in before:
            work.arrived("usage_point", p.usage_point_id)


async def forget_customer(work: UnitOfWork, *, customer_id: str) -> None:
    """The customer is gone from the archive; outages it went through stay counted."""
    for table in (customer, usage_point, usage_point_feeder, supply_alarm):
        await work.db.execute(delete(table).where(table.c.customer_id == customer_id))
    await set_owner_areas(work, owner_id=customer_id, area_ids=[])


async def store_feeder(work: UnitOfWork, *, changed: FeederChanged) -> None:
    """Replace the feeder and its sections; wakes the faults that waited for them."""
    row = {
        "feeder_id": changed.feeder_id,
        "name": changed.name,
        "substation_id": changed.substation_id,
        "area_id": changed.area_id,
        "rating_kva": changed.rating_kva,
        "section_ids": sorted({section.section_id for section in changed.sections}),
    }
    await work.db.execute(upsert(feeder).values(row).on_conflict_do_update(index_elements=["feeder_id"], set_=row))
    sections = feeder_section_point
    await work.db.execute(delete(sections).where(sections.c.feeder_id == changed.feeder_id))
    pairs = sorted({(s.section_id, p) for s in changed.sections for p in s.usage_point_ids})
    if pairs:
        rows = [{"feeder_id": changed.feeder_id, "section_id": s, "usage_point_id": p} for s, p in pairs]
        await work.db.execute(sections.insert(), rows)
    work.arrived("feeder", changed.feeder_id)
    for section in changed.sections:
        work.arrived("feeder-section", f"{changed.feeder_id}/{section.section_id}")


async def forget_feeder(work: UnitOfWork, *, feeder_id: str) -> None:
    for table in (feeder_section_point, feeder_load, feeder):
        await work.db.execute(delete(table).where(table.c.feeder_id == feeder_id))


async def store_load(work: UnitOfWork, *, recorded: FeederLoadRecorded) -> None:
    """Keep the newest measurement; loads come late and repeated."""
    row = {"feeder_id": recorded.feeder_id, "load_kw": recorded.load_kw, "measured_at": recorded.measured_at}
    add = upsert(feeder_load).values(row)
    await work.db.execute(
        add.on_conflict_do_update(
            index_elements=["feeder_id"], set_=row, where=feeder_load.c.measured_at < add.excluded.measured_at
        )
    )


async def store_alarm(
    work: UnitOfWork, *, usage_point_id: str, column: Literal["lost_at", "back_at"], at: datetime
) -> None:
    """Keep the newest cry of a meter. Raises `WaitingFor` while the usage point has no owner."""
    of_point = usage_point.c.usage_point_id == usage_point_id
    owner = (await work.db.execute(select(usage_point.c.customer_id).where(of_point))).scalar()
    if owner is None:
        raise WaitingFor("usage_point", usage_point_id)
    add = upsert(supply_alarm).values({"usage_point_id": usage_point_id, "customer_id": owner, column: at})
    newest = func.greatest(supply_alarm.c[column], add.excluded[column])
    await work.db.execute(
        add.on_conflict_do_update(index_elements=["usage_point_id"], set_={column: newest, "customer_id": owner})
    )


async def store_notice(
    work: UnitOfWork, *, message: MessageAccepted | MessageDelivered, column: Literal["accepted_at", "delivered_at"]
) -> None:
    """Proof of who was told of an outage and when; messages about other things are not ours."""
    if not message.cause_type.startswith("keyline.outage."):
        return
    row = {
        "delivery_id": message.delivery_id,
        "outage_id": message.subject_id,
        "customer_id": message.customer_id,
        "person_id": message.person_id,
        "cause_type": message.cause_type,
        "channel": message.channel,
        column: message.occurred_at,
    }
    add = upsert(notice).values(row)
    first = func.least(notice.c[column], add.excluded[column])
    await work.db.execute(
        add.on_conflict_do_update(index_elements=["delivery_id", "customer_id"], set_={column: first})
    )
