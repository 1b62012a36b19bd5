"""One customer, one post, one duty (一户一岗一责): who answers for a customer today, and who has nobody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, or_, select, update

from services.kernel.auth.grants import visible
from services.kernel.work import UnitOfWork
from services.notify.tables import customer, leave

OWNER = "account-manager"
TOLD_AFTER = timedelta(minutes=5)
"""A change of posts may arrive in several events; proposal of the house."""


@dataclass(frozen=True, kw_only=True)
class Answering:
    person_id: str
    named: bool
    acting_for: str | None
    away: bool


@dataclass(frozen=True, kw_only=True)
class Owned:
    """`finding`: none, away (only people on leave), several (more than one named post), or None when all is well."""

    customer_id: str
    name: str
    answering: tuple[Answering, ...]

    @property
    def finding(self) -> str | None:
        there = [a for a in self.answering if not a.away]
        if not self.answering:
            return "nobody"
        if not there:
            return "away"
        holders = {a.acting_for or a.person_id for a in there if a.named}
        return "several" if len(holders) > 1 else None


async def note_unowned(work: UnitOfWork, *, customer_ids: set[str]) -> dict[str, datetime]:
    """Since when each of these has nobody; who is not among them has somebody again."""
    c = customer.c
    again = update(customer).where(c.unowned_since.is_not(None), c.customer_id.not_in(sorted(customer_ids)))
    await work.db.execute(again.values(unowned_since=None))
    mine = c.customer_id.in_(sorted(customer_ids))
    await work.db.execute(update(customer).where(mine, c.unowned_since.is_(None)).values(unowned_since=work.now))
    rows = await work.db.execute(select(c.customer_id, c.unowned_since).where(mine))
    return {row.customer_id: row.unowned_since for row in rows}


async def owned(work: UnitOfWork, *, customer_id: str | None = None) -> list[Owned]:
    """Every key account in the scope with those who answer for it now; the named before those of the area."""
    g, area, c, now = work.tables.access_grant.c, work.tables.owner_area.c, customer.c, work.now
    on_leave = exists().where(
        leave.c.person_id == g.person_id, leave.c.starts_at <= now, leave.c.ends_at > now
    )  # fmt: skip
    lies_in = exists().where(area.owner_id == c.customer_id, area.area_id == g.scope_id)
    answers = and_(
        g.role == OWNER, g.valid_from <= now, or_(g.valid_to.is_(None), g.valid_to > now),
        or_(
            and_(g.scope_kind == "owner", g.scope_id == c.customer_id),
            and_(g.scope_kind == "area", lies_in), g.scope_kind == "everything",
        ),
    )  # fmt: skip
    query = (
        select(
            c.customer_id, c.name, g.person_id, (g.scope_kind == "owner").label("named"), g.acting_for,
            on_leave.label("away"),
        )
        .select_from(customer.outerjoin(work.tables.access_grant, answers))
        .where(c.key_account, visible(c.customer_id, work=work))
        .order_by(c.customer_id, g.person_id, g.acting_for, (g.scope_kind == "owner").desc())
    )  # fmt: skip
    if customer_id is not None:
        query = query.where(c.customer_id == customer_id)
    names: dict[str, str] = {}
    found: dict[str, dict[tuple[str, str | None], Answering]] = {}
    for row in await work.db.execute(query):
        names[row.customer_id] = row.name
        own = found.setdefault(row.customer_id, {})
        if row.person_id is not None:
            answering = Answering(person_id=row.person_id, named=row.named, acting_for=row.acting_for, away=row.away)
            own.setdefault((row.person_id, row.acting_for), answering)
    return [Owned(customer_id=i, name=names[i], answering=_named_first(own.values())) for i, own in found.items()]


def _named_first(answering: Iterable[Answering]) -> tuple[Answering, ...]:
    """Whoever answers by the customer's name goes before those who answer for its area."""
    known = list(answering)
    return tuple([a for a in known if a.named] or known)
