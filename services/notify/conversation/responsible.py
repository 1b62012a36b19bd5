"""Who is asked for a customer: the manager by post, the B角, the team leader, the desk; nobody who is away."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import String, and_, cast, exists, literal, or_, select

from services.kernel.auth.grants import Grant, replace_grants, withdraw_grants
from services.kernel.work import UnitOfWork
from services.notify.rules.reply_clock import Level
from services.notify.tables import conversation, leave, post_deputy

MANAGER, TEAM_LEADER, DESK = "account-manager", "team-leader", "service-desk"
ANSWERING = (MANAGER, TEAM_LEADER, DESK)
_ORIGIN = "conversation:"
LENT_FOR = timedelta(hours=12)
"""How long a deputy who was asked may act for the manager's customer; proposal of the house."""


async def holders(work: UnitOfWork, *, customer_id: str, role: str) -> list[str]:
    """Who holds the role over the customer now and is not away: by name before by area, holders before deputies."""
    g, area, now = work.tables.access_grant.c, work.tables.owner_area.c, work.now
    lies_in = exists().where(area.owner_id == customer_id, area.area_id == g.scope_id)
    covers = or_(
        and_(g.scope_kind == "owner", g.scope_id == customer_id), and_(g.scope_kind == "area", lies_in),
        g.scope_kind == "everything",
    )  # fmt: skip
    query = select(g.person_id, g.scope_kind, g.acting_for).where(
        g.role == role, covers, g.valid_from <= now, or_(g.valid_to.is_(None), g.valid_to > now),
        ~exists().where(leave.c.person_id == g.person_id, leave.c.starts_at <= now, leave.c.ends_at > now),
    )  # fmt: skip
    order = {"owner": 0, "area": 1, "everything": 2}
    found = sorted(
        await work.db.execute(query),
        key=lambda r: (order[r.scope_kind], r.acting_for is not None, r.person_id),
    )
    nearest = [r for r in found if r.scope_kind == found[0].scope_kind]
    return list(dict.fromkeys(r.person_id for r in nearest))


async def owner_of(work: UnitOfWork, *, customer_id: str) -> str | None:
    """The one who is to answer; the deputy while the manager is on leave."""
    return next(iter(await holders(work, customer_id=customer_id, role=MANAGER)), None)


async def asked_at(
    work: UnitOfWork, *, customer_id: str, owner_id: str | None, level: int, but: Collection[str]
) -> tuple[int, list[str]]:
    """The first level from `level` on where somebody is there who was not asked before, and who; the desk at last."""
    for step in range(level, Level.DESK + 1):
        people = await _people(work, customer_id, owner_id, Level(step))
        fresh = [p for p in people if p not in but]
        if fresh:
            return step, fresh
    return int(Level.DESK), []


async def _people(work: UnitOfWork, customer_id: str, owner_id: str | None, level: Level) -> list[str]:
    match level:
        case Level.MANAGER:
            return [] if owner_id is None else [owner_id]
        case Level.DEPUTY:
            return [] if owner_id is None else (await _deputies(work, customer_id, owner_id))[:1]
        case Level.TEAM_LEADER:
            return await holders(work, customer_id=customer_id, role=TEAM_LEADER)
        case Level.DESK:
            return await holders(work, customer_id=customer_id, role=DESK)


async def _deputies(work: UnitOfWork, customer_id: str, owner_id: str) -> list[str]:
    """The B角 of the posts by which the owner answers for the customer, in their order."""
    g, area, now = work.tables.access_grant.c, work.tables.owner_area.c, work.now
    lies_in = exists().where(area.owner_id == customer_id, area.area_id == g.scope_id)
    posts = select(g.origin).where(
        g.person_id == owner_id, g.role == MANAGER,
        or_(and_(g.scope_kind == "owner", g.scope_id == customer_id), and_(g.scope_kind == "area", lies_in)),
    )  # fmt: skip
    held = [o.removeprefix("post:") for o in (await work.db.execute(posts)).scalars() if o.startswith("post:")]
    d = post_deputy.c
    query = select(d.person_id).where(
        d.post_id.in_(sorted(set(held))), d.person_id != owner_id,
        ~exists().where(leave.c.person_id == d.person_id, leave.c.starts_at <= now, leave.c.ends_at > now),
    )  # fmt: skip
    return list(dict.fromkeys((await work.db.execute(query.order_by(d.rank, d.person_id))).scalars()))


async def take_back(work: UnitOfWork) -> None:
    """Who acted for a manager because a question waited acts no longer once it is answered. Only the worker may."""
    origin, c = work.tables.access_grant.c.origin, conversation.c
    waits = exists().where(
        c.waiting_since.is_not(None), origin == literal(_ORIGIN) + cast(c.conversation_id, String)
    )  # fmt: skip
    await withdraw_grants(work, origin.startswith(_ORIGIN), ~waits)


async def lend(
    work: UnitOfWork, *, conversation_id: UUID, customer_id: str, owner_id: str, people: Sequence[str]
) -> None:
    """A deputy who is asked may act for the manager, or could not read what to answer. Only the worker may."""
    grants = [
        Grant(
            person_id=person_id, role=MANAGER, scope_kind="owner", scope_id=customer_id, valid_from=work.now,
            valid_to=work.now + LENT_FOR, acting_for=owner_id,
        )
        for person_id in people
    ]  # fmt: skip
    await replace_grants(work, origin=f"{_ORIGIN}{conversation_id}", grants=grants)
