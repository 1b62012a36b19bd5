"""Hand-overs and leaves that have begun: who takes over, and how much pending work comes with it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Table, func, select, update

from services.kernel.work import UnitOfWork
from services.notify.directory.expansion import held_by
from services.notify.directory.posts import drawn_posts
from services.notify.tables import handover, leave, task, ticket


@dataclass(frozen=True, kw_only=True)
class Begun:
    """`customer_id` is one of the customers of the post, whom the message stands with."""

    occasion: str
    post_id: str
    post_name: str
    from_person_id: str
    to_person_id: str
    begins_at: datetime
    customer_id: str
    tickets: int
    tasks: int


async def begun(work: UnitOfWork) -> list[Begun]:
    """Not told yet. A post without any customer is taken over in silence: there is nothing to hand over."""
    taken: list[tuple[str, str, str, str, datetime]] = [
        (str(h.handover_id), h.post_id, h.from_person_id, h.to_person_id, h.effective_at)
        for h in await work.db.execute(select(handover).where(*_untold(handover.c.effective_at, work)))
    ]
    away = (await work.db.execute(select(leave).where(*_untold(leave.c.starts_at, work)))).all()
    organisation, posts = await drawn_posts(work)
    names = {row.post_id: row.name for row, _ in posts}
    for absent in away:
        for _, post in posts:
            for held in held_by(post, leaves=organisation.leaves):
                if held.acting_for == absent.person_id and held.valid_from < absent.ends_at and post.active:
                    taken.append((absent.leave_id, post.post_id, absent.person_id, held.person_id, held.valid_from))
    units = {post.post_id: organisation.below([post.unit_id]) for _, post in posts}
    named = {post.post_id: list(post.customer_ids) for _, post in posts}
    result = []
    for occasion, post_id, absent_id, successor, begins_at in taken:
        customers = named.get(post_id) or await _lying_in(work, units.get(post_id, []))
        if customers:
            result.append(
                Begun(
                    occasion=occasion, post_id=post_id, post_name=names.get(post_id, post_id),
                    from_person_id=absent_id, to_person_id=successor, begins_at=begins_at, customer_id=min(customers),
                    tickets=await _count(work, ticket, ticket.c.closed_at, customers),
                    tasks=await _count(work, task, task.c.done_at, customers),
                )
            )  # fmt: skip
    return result


async def mark_told(work: UnitOfWork) -> None:
    for table, begins in ((handover, handover.c.effective_at), (leave, leave.c.starts_at)):
        await work.db.execute(update(table).where(*_untold(begins, work)).values(told_at=work.now))


def _untold(begins: Column[datetime], work: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    return (begins <= work.now, begins.table.c.told_at.is_(None))


async def _lying_in(work: UnitOfWork, unit_ids: list[str]) -> list[str]:
    area = work.tables.owner_area.c
    return list((await work.db.execute(select(area.owner_id).where(area.area_id.in_(unit_ids)).distinct())).scalars())


async def _count(work: UnitOfWork, table: Table, ended: Column[datetime], customers: list[str]) -> int:
    query = select(func.count()).where(ended.is_(None), table.c.customer_id.in_(customers))
    return int((await work.db.execute(query)).scalar_one())
