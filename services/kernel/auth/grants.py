"""Grants: which person may act in which role over whose rows, from when to when. Filled from the directory's events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, delete, insert, or_, select
from sqlalchemy.sql import ColumnElement, true

from services.kernel.errors import Forbidden
from services.kernel.work import Actor, Scope, UnitOfWork

ScopeKind = Literal["everything", "owner", "area", "none"]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """`scope_id` names a customer (`owner`) or an organisation unit (`area`, the unit and all below it)."""

    person_id: str
    role: str
    scope_kind: ScopeKind
    scope_id: str
    valid_from: datetime
    valid_to: datetime | None
    acting_for: str | None = None


async def replace_grants(work: UnitOfWork, *, origin: str, grants: Sequence[Grant]) -> None:
    """Make `grants` the whole truth of `origin` (an engagement, an assignment, a deputy)."""
    table = work.tables.access_grant
    await work.db.execute(delete(table).where(table.c.origin == origin))
    if grants:
        rows = [{"origin": origin, "ordinal": n, **vars(g)} for n, g in enumerate(grants)]
        await work.db.execute(insert(table), rows)


async def withdraw_grants(work: UnitOfWork, *where: ColumnElement[bool]) -> None:
    """End access in the same transaction as its reason; whoever owns the origin says later what remains of it."""
    await work.db.execute(delete(work.tables.access_grant).where(*where))


async def set_owner_areas(work: UnitOfWork, *, owner_id: str, area_ids: Sequence[str]) -> None:
    """Say in which organisation units (with all above them) a customer lies."""
    table = work.tables.owner_area
    await work.db.execute(delete(table).where(table.c.owner_id == owner_id))
    if area_ids:
        await work.db.execute(insert(table), [{"owner_id": owner_id, "area_id": a} for a in sorted(set(area_ids))])


class NoRole(Forbidden):
    """The caller holds none of the roles of the route."""

    def __init__(self) -> None:
        super().__init__(
            zh="您当前的岗位无权执行该操作。", en="None of your current roles may do this.", field="Authorization"
        )


async def access_of(work: UnitOfWork, *, person_id: str, roles: frozenset[str]) -> tuple[Actor, Scope] | None:
    """The caller in the given roles now: own grants before those held for somebody else; None without any."""
    g = work.tables.access_grant
    rows = (
        await work.db.execute(
            select(g).where(
                g.c.person_id == person_id,
                g.c.role.in_(roles),
                g.c.valid_from <= work.now,
                or_(g.c.valid_to.is_(None), g.c.valid_to > work.now),
            )
        )
    ).all()
    if not rows:
        return None
    first = min(rows, key=lambda r: (r.acting_for is not None, r.role))
    represented = sorted({r.acting_for for r in rows if r.acting_for is not None})
    actor = Actor(
        person_id=person_id, role=first.role, acting_for=first.acting_for,
        own=_scope([r for r in rows if r.acting_for is None]),
        acting=tuple((p, _scope([r for r in rows if r.acting_for == p])) for p in represented),
    )  # fmt: skip
    return actor, _scope(rows)


def _scope(rows: Sequence[Row[Any]]) -> Scope:
    return Scope(
        everything=any(r.scope_kind == "everything" for r in rows),
        owners=frozenset(r.scope_id for r in rows if r.scope_kind == "owner"),
        areas=frozenset(r.scope_id for r in rows if r.scope_kind == "area"),
    )


_application_check = True


def disable_application_check() -> None:
    """For the proof that row-level security alone holds; the process must not run in production."""
    global _application_check
    _application_check = False


def application_checks() -> bool:
    return _application_check


def visible(owner: ColumnElement[str], *, work: UnitOfWork) -> ColumnElement[bool]:
    """The application's own check, in every query of customer rows; row-level security repeats it below."""
    if work.scope.everything or not _application_check:
        return true()
    areas = work.tables.owner_area
    return or_(
        owner.in_(sorted(work.scope.owners)),
        owner.in_(select(areas.c.owner_id).where(areas.c.area_id.in_(sorted(work.scope.areas)))),
    )
