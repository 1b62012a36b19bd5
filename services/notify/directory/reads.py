"""What the directory's routes show of the organisation."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from services.kernel.work import UnitOfWork
from services.notify.directory import schemas
from services.notify.directory.expansion import Organisation, Post, held_by
from services.notify.directory.ownership import Owned
from services.notify.directory.posts import drawn_posts
from services.notify.tables import duty, unit


async def organisation(work: UnitOfWork) -> schemas.OrganisationView:
    """The posts over the caller's units or customers, with their units and all above; no addresses."""
    drawn, posts = await drawn_posts(work)
    shown = [(row, p) for row, p in posts if p.active and _in_scope(work, p)]
    wanted = {u for _, p in shown for u in _upwards(p.unit_id, drawn)}
    wanted |= drawn.parents.keys() if work.scope.everything else work.scope.areas
    units = await work.db.execute(select(unit).where(unit.c.unit_id.in_(sorted(wanted))).order_by(unit.c.unit_id))
    return schemas.OrganisationView(
        units=[schemas.Unit(**row._mapping) for row in units],
        posts=[
            schemas.Post(
                post_id=p.post_id, name=row.name, unit_id=p.unit_id, role=p.role, customer_ids=list(p.customer_ids),
                deputies=list(p.deputies),
                held_by=[schemas.Held(**h.model_dump()) for h in held_by(p, leaves=drawn.leaves)],
            )
            for row, p in shown
        ],
    )  # fmt: skip


def _in_scope(work: UnitOfWork, post: Post) -> bool:
    scope = work.scope
    return scope.everything or post.unit_id in scope.areas or bool(scope.owners & set(post.customer_ids))


def _upwards(unit_id: str, organisation: Organisation) -> list[str]:
    """The unit and all above it; a loop ends where it closes."""
    line: list[str] = []
    at: str | None = unit_id
    while at is not None and at not in line:
        line.append(at)
        at = organisation.parents.get(at)
    return line


async def duties(
    work: UnitOfWork, *, unit_id: str | None, begins: datetime, ends: datetime
) -> list[schemas.DutyEntry]:  # fmt: skip
    """In the caller's units, and in those where the caller's customers lie."""
    area = work.tables.owner_area.c
    query = select(duty).where(duty.c.starts_at < ends, duty.c.ends_at > begins)
    if not work.scope.everything:
        theirs = select(area.area_id).where(area.owner_id.in_(sorted(work.scope.owners)))
        query = query.where(or_(duty.c.unit_id.in_(sorted(work.scope.areas)), duty.c.unit_id.in_(theirs)))
    if unit_id is not None:
        query = query.where(duty.c.unit_id == unit_id)
    rows = await work.db.execute(query.order_by(duty.c.starts_at, duty.c.duty_id))
    return [duty_entry(dict(row._mapping)) for row in rows]


def duty_entry(row: Mapping[str, Any]) -> schemas.DutyEntry:
    return schemas.DutyEntry(**{name: row[name] for name in schemas.DutyEntry.model_fields})


def leave_entry(row: Mapping[str, Any]) -> schemas.LeaveEntry:
    return schemas.LeaveEntry(**{name: row[name] for name in schemas.LeaveEntry.model_fields})


def owned_customer(owned: Owned) -> dict[str, Any]:
    return {
        "customer_id": owned.customer_id, "name": owned.name, "finding": owned.finding,
        "answering": [asdict(a) for a in owned.answering],
    }  # fmt: skip
