"""Keeps the organisation and says anew what each post may see, when any of it moves."""

from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.notify import AccessGrant, PostAssigned
from services.contracts.organisation import Holding, PostChanged, UnitChanged
from services.kernel.auth.directory import grants_of
from services.kernel.auth.grants import replace_grants
from services.kernel.wire import Poison
from services.kernel.work import UnitOfWork
from services.notify.directory.expansion import Handover, Leave, Organisation, Post, digest, grants_of_post
from services.notify.tables import handover, holding, leave, post, post_deputy, unit

MOST_GRANTS = 2_000


async def store_unit(work: UnitOfWork, *, event: UnitChanged) -> None:
    await lock_directory(work)
    values = event.model_dump(include={"unit_id", "name", "parent_id"})
    await work.db.execute(
        upsert(unit).values(**values).on_conflict_do_update(index_elements=[unit.c.unit_id], set_=values)
    )
    await publish_posts(work)


async def remove_unit(work: UnitOfWork, *, unit_id: str) -> None:
    await lock_directory(work)
    await work.db.execute(delete(unit).where(unit.c.unit_id == unit_id))
    await publish_posts(work)


async def store_post(work: UnitOfWork, *, event: PostChanged) -> None:
    await lock_directory(work)
    values = event.model_dump(include={"post_id", "name", "unit_id", "role"})
    values |= {"customer_ids": list(event.customer_ids), "active": True}
    await work.db.execute(
        upsert(post).values(**values).on_conflict_do_update(index_elements=[post.c.post_id], set_=values)
    )
    await work.db.execute(delete(holding).where(holding.c.post_id == event.post_id))
    rows = [{"post_id": event.post_id, "ordinal": n, **h.model_dump()} for n, h in enumerate(event.holdings)]
    if rows:
        await work.db.execute(insert(holding), rows)
    await publish_posts(work)


async def lock_directory(work: UnitOfWork) -> None:
    """Grants are drawn from the whole organisation: writers take turns, so that none draws from half of it."""
    await work.db.execute(text("SELECT pg_advisory_xact_lock(hashtext('notify-directory'))"))


async def publish_posts(work: UnitOfWork) -> None:
    """Expand all posts; store and publish those whose grants changed."""
    organisation, posts = await drawn_posts(work, lock=True)
    for row, drawn in posts:
        grants = grants_of_post(drawn, organisation=organisation)
        if len(grants) > MOST_GRANTS:
            raise Poison("too-many-grants", f"post {row.post_id}: {len(grants)} grants; name units higher or fewer")
        if row.grants_digest != digest(grants):
            await _publish(work, row.post_id, row.version + 1, grants)


async def remove_post(work: UnitOfWork, *, post_id: str) -> None:
    """The row stays, so that the version goes on rising if the post comes back."""
    await lock_directory(work)
    gone = update(post).where(post.c.post_id == post_id).values(active=False, grants_digest=None)
    if (await work.db.execute(gone.returning(post.c.post_id))).first() is not None:
        await publish_posts(work)


async def _publish(work: UnitOfWork, post_id: str, version: int, grants: tuple[AccessGrant, ...]) -> None:
    await work.db.execute(
        update(post).where(post.c.post_id == post_id).values(version=version, grants_digest=digest(grants))
    )
    await replace_grants(work, origin=f"post:{post_id}", grants=grants_of(grants))
    work.emit(PostAssigned(post_id=post_id, version=version, grants=grants))


async def drawn_posts(work: UnitOfWork, *, lock: bool = False) -> tuple[Organisation, list[tuple[Any, Post]]]:
    """The tree, and every post as stored and as the rules see it."""
    units = await work.db.execute(select(unit.c.unit_id, unit.c.parent_id))
    holdings: dict[str, list[Holding]] = {}
    for h in await work.db.execute(select(holding).order_by(holding.c.post_id, holding.c.ordinal)):
        held = Holding(person_id=h.person_id, valid_from=h.valid_from, valid_to=h.valid_to, acting_for=h.acting_for)
        holdings.setdefault(h.post_id, []).append(held)
    deputies: dict[str, list[str]] = {}
    for d in await work.db.execute(select(post_deputy).order_by(post_deputy.c.post_id, post_deputy.c.rank)):
        deputies.setdefault(d.post_id, []).append(d.person_id)
    steps: dict[str, list[Handover]] = {}
    for s in await work.db.execute(select(handover).order_by(handover.c.effective_at)):
        step = Handover(from_person_id=s.from_person_id, to_person_id=s.to_person_id, effective_at=s.effective_at)
        steps.setdefault(s.post_id, []).append(step)
    query = select(post).order_by(post.c.post_id)
    rows = (await work.db.execute(query.with_for_update() if lock else query)).all()
    posts = [
        Post(
            post_id=p.post_id, unit_id=p.unit_id, role=p.role, customer_ids=tuple(p.customer_ids),
            holdings=tuple(holdings.get(p.post_id, ())), deputies=tuple(deputies.get(p.post_id, ())),
            handovers=tuple(steps.get(p.post_id, ())), active=p.active,
        )
        for p in rows
    ]  # fmt: skip
    away = await work.db.execute(select(leave).order_by(leave.c.starts_at, leave.c.leave_id))
    organisation = Organisation(
        parents={u.unit_id: u.parent_id for u in units},
        leaves=tuple(
            Leave(person_id=a.person_id, starts_at=a.starts_at, ends_at=a.ends_at, deputy_id=a.deputy_id) for a in away
        ),
    )
    return organisation, list(zip(rows, posts, strict=True))
