"""Turns something that happened into rows of messages: looks up the people, plans, stores, says what is delivered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update

from services.kernel.work import UnitOfWork
from services.notify.delivery.fanout import Told, store, withdraw
from services.notify.delivery.rows import reach_of
from services.notify.policy.document import Rule, rule_for
from services.notify.policy.planning import Charged, Directory, Engaged, Place, plan
from services.notify.tables import delivery, delivery_account, engagement


@dataclass(frozen=True, kw_only=True)
class Happening:
    """`name` is what a person is told of once; `part` names a later addition to it. `facts` fill the templates."""

    event_class: str
    subject_id: str
    customers: frozenset[str]
    event_at: datetime
    facts: dict[str, Any] = field(default_factory=dict)
    places: frozenset[Place] = frozenset()
    occasion: str = ""
    part: str = "1"
    hold_until: datetime | None = None

    @property
    def name(self) -> str:
        return "|".join(p for p in (self.event_class, self.subject_id, self.occasion) if p)


async def tell(work: UnitOfWork, *, happening: Happening) -> int:
    """Plan and store the messages; how many people are told. Safe to repeat."""
    rule = rule_for(happening.event_class)
    await withdraw(work, rule=rule, subject_id=happening.subject_id)
    directory = await _directory(work, rule, happening)
    recipients = plan(rule=rule, customers=happening.customers, places=happening.places, directory=directory)
    told = Told(
        name=happening.name, event_class=happening.event_class, subject_id=happening.subject_id,
        event_at=happening.event_at, facts=happening.facts, part=happening.part, hold_until=happening.hold_until,
    )  # fmt: skip
    await store(work, rule=rule, told=told, recipients=recipients)
    return len(recipients)


async def release(work: UnitOfWork, *, name: str) -> None:
    """All parts of the happening's set are here: what was held for them may go."""
    await work.db.execute(
        update(delivery)
        .where(delivery.c.happening == name, delivery.c.state == "pending", delivery.c.attempts == 0)
        .values(next_attempt_at=work.now)
    )


async def _directory(work: UnitOfWork, rule: Rule, happening: Happening) -> Directory:
    customers = sorted(happening.customers)
    engaged = await _engaged(work, customers, rule.customer_roles) if rule.customer_roles else ()
    charged = await _charged(work, customers, rule.staff_roles) if rule.staff_roles else ()
    told = await _places_told(work, rule.told_of, happening.subject_id) if rule.told_of else {}
    people = {p.person_id for p in engaged} | {p.person_id for p in charged} | set(told)
    return Directory(engaged=engaged, charged=charged, reach=await reach_of(work, people), told=told)


async def _engaged(work: UnitOfWork, customers: Sequence[str], roles: Iterable[str]) -> tuple[Engaged, ...]:
    e = engagement.c
    query = select(e.person_id, e.customer_id, e.role, e.account_ids).where(
        e.customer_id.in_(customers), e.role.in_(sorted(roles)), e.valid_from <= work.now,
        or_(e.valid_to.is_(None), e.valid_to > work.now),
    )  # fmt: skip
    return tuple(
        Engaged(
            person_id=r.person_id, customer_id=r.customer_id, role=r.role, account_ids=frozenset(r.account_ids)
        )
        for r in await work.db.execute(query)
    )  # fmt: skip


async def _charged(work: UnitOfWork, customers: Sequence[str], roles: Iterable[str]) -> tuple[Charged, ...]:
    g, area = work.tables.access_grant.c, work.tables.owner_area.c
    now_held = (g.role.in_(sorted(roles)), g.valid_from <= work.now, or_(g.valid_to.is_(None), g.valid_to > work.now))
    by_name = select(g.person_id, g.scope_id, g.role).where(
        *now_held, g.scope_kind == "owner", g.scope_id.in_(customers)
    )
    by_area = (
        select(g.person_id, area.owner_id, g.role)
        .join_from(work.tables.access_grant, work.tables.owner_area, area.area_id == g.scope_id)
        .where(*now_held, g.scope_kind == "area", area.owner_id.in_(customers))
        .distinct()
    )
    found = [
        Charged(person_id=person, customer_id=customer_id, role=role, named=named)
        for named, query in ((True, by_name), (False, by_area))
        for person, customer_id, role in await work.db.execute(query)
    ]
    return tuple(found)


async def _places_told(work: UnitOfWork, event_class: str, subject_id: str) -> dict[str, frozenset[Place]]:
    a = delivery_account.c
    query = (
        select(delivery.c.person_id, a.customer_id, a.account_id)
        .join_from(delivery, delivery_account, a.delivery_id == delivery.c.delivery_id, isouter=True)
        .where(
            delivery.c.event_class == event_class,
            delivery.c.subject_id == subject_id,
            delivery.c.state != "suppressed",
        )
    )
    told: dict[str, set[Place]] = {}
    for row in await work.db.execute(query):
        places = told.setdefault(row.person_id, set())
        if row.account_id is not None:
            places.add(Place(customer_id=row.customer_id, account_id=row.account_id))
    return {person: frozenset(places) for person, places in told.items()}
