"""The people around a happening as the tables know them now: what the plan is drawn from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import or_, select

from services.kernel.work import UnitOfWork
from services.notify.channel_settings import channel_settings
from services.notify.delivery.checks import wanted
from services.notify.directory.contacts import reach_of
from services.notify.directory.working_time import is_working_time
from services.notify.policy.document import CHANNELS
from services.notify.policy.planning import Charged, Directory, Engaged, Place
from services.notify.policy.store import InForce
from services.notify.tables import delivery, delivery_account, engagement, preference
from services.notify.tables import duty as duty_roster

Near = TypeVar("Near", Engaged, Charged)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    customers: frozenset[str]
    directory: Directory


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`customers` may be empty where the happening ends another one: then those of whom people were told."""

    subject_id: str
    customers: frozenset[str]
    listed: Mapping[str, str] = field(default_factory=dict)


async def snapshots_of(
    work: UnitOfWork, *, in_force: InForce, event_class: str, asked: Sequence[Asked]
) -> list[Snapshot]:
    """One for each that asks, of one look at the tables.

    Holds everybody around these customers, also whom this policy does not mean: another one can be tried on it.
    """
    rule = in_force.rule_for(event_class)
    told_of = await _places_told(work, rule.told_of, [a.subject_id for a in asked]) if rule.told_of else {}
    told = [told_of.get(a.subject_id, {}) for a in asked]
    touched = [
        a.customers or frozenset(p.customer_id for places in t.values() for p in places)
        for a, t in zip(asked, told, strict=True)
    ]
    everywhere = frozenset[str]().union(*touched)
    engaged = () if rule.listed else await _engaged(work, everywhere)
    charged = () if rule.listed else await _charged(work, everywhere, in_force.policy.staff_roles(), duty=rule.duty)
    everybody = {e.person_id for e in engaged if e.in_force(work.now)} | {c.person_id for c in charged}
    everybody = everybody.union(*told, *(a.listed for a in asked))
    offered = channel_settings().channels()
    reach = {person: channels & offered for person, channels in (await reach_of(work, everybody)).items()}
    off = await _switched_off(work, everybody, event_class)
    engaged_at, charged_at = _by_customer(engaged), _by_customer(charged)
    return [
        _cut(a, customers, known, engaged=engaged_at, charged=charged_at, reach=reach, off=off, now=work.now)
        for a, customers, known in zip(asked, touched, told, strict=True)
    ]


def _by_customer(known: Iterable[Near]) -> dict[str, list[Near]]:
    found: dict[str, list[Near]] = {}
    for one in known:
        found.setdefault(one.customer_id, []).append(one)
    return found


def _cut(
    asked: Asked, customers: frozenset[str], told: Mapping[str, frozenset[Place]], *,
    engaged: Mapping[str, list[Engaged]], charged: Mapping[str, list[Charged]], reach: Mapping[str, frozenset[str]],
    off: Mapping[str, frozenset[str]], now: datetime,
) -> Snapshot:  # fmt: skip
    """The part of the common look that concerns one happening."""
    near = tuple(e for c in sorted(customers) for e in engaged.get(c, ()))
    over = tuple(x for c in sorted(customers) for x in charged.get(c, ()))
    people = {e.person_id for e in near if e.in_force(now)} | {x.person_id for x in over} | {*told, *asked.listed}
    directory = Directory(
        engaged=near, charged=over, listed=asked.listed, told=told,
        reach={p: reach[p] for p in people if p in reach}, off={p: off[p] for p in people if p in off},
    )  # fmt: skip
    return Snapshot(customers=customers | frozenset(asked.listed.values()), directory=directory)


async def _switched_off(work: UnitOfWork, people: Iterable[str], event_class: str) -> dict[str, frozenset[str]]:
    """Person -> channels not wanted for this class."""
    p = preference.c
    query = select(preference).where(p.person_id.in_(sorted(people)), p.event_class.in_((event_class, "*")))
    words = {(w.person_id, w.event_class, w.channel): w.wanted for w in await work.db.execute(query)}
    return {
        person: frozenset(
            c for c in CHANNELS if not wanted(words, person_id=person, event_class=event_class, channel=c)
        )
        for person in sorted({person for person, _, _ in words})
    }


async def _engaged(work: UnitOfWork, customers: Iterable[str]) -> tuple[Engaged, ...]:
    """All who are or were something to these customers: the plan says of each why they are told or not."""
    e = engagement.c
    query = select(engagement).where(e.customer_id.in_(sorted(customers)))
    return tuple(
        Engaged(
            person_id=r.person_id, customer_id=r.customer_id, role=r.role, account_ids=frozenset(r.account_ids),
            valid_from=r.valid_from, valid_to=min(filter(None, (r.valid_to, r.ended_at)), default=None),
        )
        for r in await work.db.execute(query)
    )  # fmt: skip


async def _charged(
    work: UnitOfWork, customers: Iterable[str], roles: frozenset[str], *, duty: bool
) -> tuple[Charged, ...]:
    g, area, known = work.tables.access_grant.c, work.tables.owner_area.c, sorted(customers)
    held = (
        g.role.in_(sorted(roles)), g.valid_from <= work.now, or_(g.valid_to.is_(None), g.valid_to > work.now)
    )  # fmt: skip
    by_name = select(g.person_id, g.scope_id, g.role, g.acting_for).where(
        *held, g.scope_kind == "owner", g.scope_id.in_(known)
    )
    by_area = (
        select(g.person_id, area.owner_id, g.role, g.acting_for)
        .join_from(work.tables.access_grant, work.tables.owner_area, area.area_id == g.scope_id)
        .where(*held, g.scope_kind == "area", area.owner_id.in_(known))
        .distinct()
    )
    found = [
        Charged(person_id=person, customer_id=customer_id, role=role, named=named, acting_for=acting_for)
        for named, query in ((True, by_name), (False, by_area))
        for person, customer_id, role, acting_for in await work.db.execute(query)
    ]
    return (*found, *(await _on_duty(work, known) if duty and not is_working_time(work.now) else ()))


async def _on_duty(work: UnitOfWork, customers: list[str]) -> list[Charged]:
    area = work.tables.owner_area.c
    query = (
        select(duty_roster.c.person_id, area.owner_id, duty_roster.c.role)
        .join_from(duty_roster, work.tables.owner_area, area.area_id == duty_roster.c.unit_id)
        .where(area.owner_id.in_(customers), duty_roster.c.starts_at <= work.now, duty_roster.c.ends_at > work.now)
        .distinct()
    )
    return [
        Charged(person_id=person, customer_id=customer_id, role=role, named=False, on_duty=True)
        for person, customer_id, role in await work.db.execute(query)
    ]


async def _places_told(
    work: UnitOfWork, classes: Sequence[str], subject_ids: Sequence[str]
) -> dict[str, dict[str, frozenset[Place]]]:
    """Subject -> person -> of which places."""
    a, d = delivery_account.c, delivery.c
    query = (
        select(d.subject_id, d.person_id, a.customer_id, a.account_id)
        .join_from(delivery, delivery_account, a.delivery_id == d.delivery_id, isouter=True)
        .where(d.event_class.in_(classes), d.subject_id.in_(sorted(set(subject_ids))), d.state != "suppressed")
    )
    told: dict[str, dict[str, set[Place]]] = {}
    for row in await work.db.execute(query):
        places = told.setdefault(row.subject_id, {}).setdefault(row.person_id, set())
        if row.account_id is not None:
            places.add(Place(customer_id=row.customer_id, account_id=row.account_id))
    return {
        subject: {person: frozenset(places) for person, places in people.items()} for subject, people in told.items()
    }
