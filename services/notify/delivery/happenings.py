"""Turns something that happened into rows of messages: looks up the people, plans, stores, says what is delivered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.channel_settings import channel_settings
from services.notify.events_out import message_delivered
from services.notify.policy.document import Rule, rule_for
from services.notify.policy.planning import Charged, Directory, Engaged, Place, Recipient, plan
from services.notify.tables import contact, customer, delivery, delivery_account, engagement, person

OPEN = ("pending", "sending")
CHANNEL_OF_CONTACT = {"wechat": "wechat", "mobile": "sms", "mail": "mail", "wecom": "wecom"}


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
    directory = await _directory(work, rule, happening)
    recipients = plan(rule=rule, customers=happening.customers, places=happening.places, directory=directory)
    names = await _customer_names(work, {r.customer_id for r in recipients})
    earlier = await _told_before(work, rule, happening.subject_id)
    languages = await _languages(work, [r.person_id for r in recipients])
    for recipient in recipients:
        facts = {"customer": names.get(recipient.customer_id, recipient.customer_id), **happening.facts}
        await _store(
            work, rule, happening, recipient, facts=facts, language=languages.get(recipient.person_id, "zh"),
            after=earlier.get(recipient.person_id),
        )  # fmt: skip
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


async def reach_of(work: UnitOfWork, people: Iterable[str]) -> dict[str, frozenset[str]]:
    """The channels of this installation for which each person has a contact that works."""
    there = channel_settings().channels()
    query = select(contact.c.person_id, contact.c.kind).where(
        contact.c.person_id.in_(sorted(people)), contact.c.unusable_because.is_(None)
    )
    found: dict[str, set[str]] = {}
    for row in await work.db.execute(query):
        if CHANNEL_OF_CONTACT.get(row.kind) in there:
            found.setdefault(row.person_id, set()).add(CHANNEL_OF_CONTACT[row.kind])
    return {person_id: frozenset(channels) for person_id, channels in found.items()}


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


async def _told_before(work: UnitOfWork, rule: Rule, subject_id: str) -> dict[str, Any]:
    """The message that must be out before this one may go, per person."""
    if rule.told_of is None:
        return {}
    query = select(delivery.c.person_id, delivery.c.delivery_id).where(
        delivery.c.event_class == rule.told_of, delivery.c.subject_id == subject_id, delivery.c.state.in_(OPEN)
    )
    return {r.person_id: r.delivery_id for r in await work.db.execute(query)}


async def _customer_names(work: UnitOfWork, customers: set[str]) -> dict[str, str]:
    query = select(customer.c.customer_id, customer.c.name).where(customer.c.customer_id.in_(sorted(customers)))
    return {r.customer_id: r.name for r in await work.db.execute(query)}


async def _languages(work: UnitOfWork, people: Sequence[str]) -> dict[str, str]:
    query = select(person.c.person_id, person.c.language).where(person.c.person_id.in_(people))
    return {r.person_id: r.language for r in await work.db.execute(query)}


async def _store(
    work: UnitOfWork, rule: Rule, happening: Happening, recipient: Recipient,
    *, facts: dict[str, Any], language: str, after: Any,
) -> None:  # fmt: skip
    """A new message, or the places added to one that has not gone yet, or a further message for late places."""
    d = delivery.c
    mine = select(delivery).where(
        d.person_id == recipient.person_id, d.happening.in_((happening.name, f"{happening.name}|{happening.part}"))
    )
    known = (await work.db.execute(mine.with_for_update())).all()
    waiting = [r for r in known if r.state == "pending" and r.attempts == 0 and r.channel != "inbox"]
    fresh = await _places_not_told(work, [r.delivery_id for r in known], recipient.places)
    if known and not fresh:
        return
    if waiting:
        await _add_places(work, waiting[0].delivery_id, fresh)
        return
    standing = [r for r in known if r.channel == "inbox" and recipient.channel == "inbox"]
    if standing:  # an inbox message is worded when it is read, so it can grow
        await _add_places(work, standing[0].delivery_id, fresh)
        message_delivered(work, row=dict(standing[0]._mapping), places=fresh)
        return
    name = happening.name if not known else f"{happening.name}|{happening.part}"
    row = _row(work, rule, happening, recipient, name=name, facts=facts, language=language, after=after)
    stored = await work.db.execute(upsert(delivery).values(**row).on_conflict_do_nothing().returning(d.delivery_id))
    if stored.first() is None:
        return
    await _add_places(work, row["delivery_id"], fresh)
    metrics.DELIVERIES.labels(happening.event_class, recipient.channel, row["state"]).inc()
    if row["state"] == "delivered":
        message_delivered(work, row=row, places=fresh)


def _row(
    work: UnitOfWork, rule: Rule, happening: Happening, recipient: Recipient,
    *, name: str, facts: dict[str, Any], language: str, after: Any,
) -> dict[str, Any]:  # fmt: skip
    # What is over long ago (a back-fill, a late archive) is kept with the reason, and nobody's phone rings.
    too_old = happening.event_at + timedelta(minutes=rule.give_up_minutes) < work.now
    at_once = recipient.channel == "inbox" and not too_old
    return {
        "delivery_id": work.new_id(f"delivery|{name}|{recipient.person_id}|{recipient.channel}"),
        "happening": name, "person_id": recipient.person_id, "channel": recipient.channel,
        "event_class": happening.event_class, "subject_id": happening.subject_id,
        "customer_id": recipient.customer_id, "cause_type": work.cause.type, "cause_id": work.cause.id,
        "facts": facts, "language": language, "priority": rule.priority,
        "state": "suppressed" if too_old else "delivered" if at_once else "pending",
        "reason": "older-than-class-allows" if too_old else None, "after_delivery_id": after,
        "next_attempt_at": max(work.now, happening.hold_until or work.now),
        "give_up_at": work.now + timedelta(minutes=rule.give_up_minutes), "event_at": happening.event_at,
        "created_at": work.now, "ended_at": work.now if at_once or too_old else None,
    }  # fmt: skip


async def _places_not_told(
    work: UnitOfWork, delivery_ids: Sequence[Any], places: tuple[Place, ...]
) -> tuple[Place, ...]:
    if not delivery_ids:
        return places
    query = select(delivery_account.c.account_id).where(delivery_account.c.delivery_id.in_(delivery_ids))
    known = set((await work.db.execute(query)).scalars())
    return tuple(p for p in places if p.account_id not in known)


async def _add_places(work: UnitOfWork, delivery_id: Any, places: Iterable[Place]) -> None:
    rows = [{"delivery_id": delivery_id, "account_id": p.account_id, "customer_id": p.customer_id} for p in places]
    if rows:
        await work.db.execute(insert(delivery_account), rows)
