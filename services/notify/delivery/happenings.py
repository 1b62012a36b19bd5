"""Turns something that happened into rows of messages: looks up the people, plans, stores, says what is delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import String, any_, literal, update
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.work import Cause, UnitOfWork
from services.notify.delivery.endpoints import as_system, endpoints_of, recipients_of
from services.notify.delivery.fanout import Told, store_all, withdraw
from services.notify.policy.document import Rule
from services.notify.policy.planning import Place, plan
from services.notify.policy.record import planning_rows, remember
from services.notify.policy.snapshot import Asked, snapshots_of
from services.notify.policy.store import policy_in_force
from services.notify.tables import delivery


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
    people: Mapping[str, str] = field(default_factory=dict)
    """Persons whom the happening itself names (an announcement's list), with the customer it concerns for them."""
    cause: Cause | None = None
    """Where it is another one than the transaction's."""

    @property
    def name(self) -> str:
        return "|".join(p for p in (self.event_class, self.subject_id, self.occasion) if p)


async def tell(work: UnitOfWork, *, happening: Happening) -> int:
    """Plan and store the messages; how many people are told. Safe to repeat."""
    return await tell_all(work, happenings=[happening])


async def tell_all(work: UnitOfWork, *, happenings: Sequence[Happening]) -> int:
    """As `tell`, for several of one class with names of their own: each look at the tables serves all of them."""
    in_force = await policy_in_force(work)
    event_class = happenings[0].event_class
    rule = in_force.rule_for(event_class)
    await withdraw(work, rule=rule, names={h.name: h.subject_id for h in happenings})
    asked = [Asked(subject_id=h.subject_id, customers=h.customers, listed=h.people) for h in happenings]
    snapshots = await snapshots_of(work, in_force=in_force, event_class=event_class, asked=asked)
    systems = await _systems(work, rule, happenings)
    happened = []
    for happening, snapshot in zip(happenings, snapshots, strict=True):
        recipients = plan(
            rule=rule, customers=snapshot.customers, places=happening.places, directory=snapshot.directory, now=work.now
        ).recipients
        told = Told(
            name=happening.name, event_class=event_class, subject_id=happening.subject_id,
            event_at=happening.event_at, facts=happening.facts, part=happening.part, hold_until=happening.hold_until,
            cause=happening.cause,
        )  # fmt: skip
        theirs = recipients_of(systems, customers=happening.customers, places=happening.places)
        happened.append((told, [*map(as_system, recipients), *theirs]))
    planned = [
        planning_rows(
            work, planning_id=work.new_id(f"planning|{h.name}|{h.part}", cause=h.cause), version=in_force.version,
            event_class=event_class, subject_id=h.subject_id, happening=h.name, places=h.places, snapshot=s,
        )
        for h, s in zip(happenings, snapshots, strict=True)
    ]  # fmt: skip
    await remember(work, [row for rows in planned for row in rows])
    await store_all(work, rule=rule, happened=happened)
    return sum(len(recipients) for _, recipients in happened)


async def _systems(work: UnitOfWork, rule: Rule, happenings: Sequence[Happening]) -> list[tuple[str, str]]:
    """Customers' own systems hear what the customers' people hear."""
    if not rule.customer_roles:
        return []
    customers = frozenset().union(*(h.customers for h in happenings))
    return await endpoints_of(work, event_class=happenings[0].event_class, customers=customers)


async def release(work: UnitOfWork, *, happenings: Sequence[Happening]) -> None:
    """All parts of these sets are here: what was held for them may go."""
    d = delivery.c
    subjects, names = ([h.subject_id for h in happenings], [h.name for h in happenings])
    await work.db.execute(
        update(delivery)
        .where(
            d.subject_id == any_(literal(subjects, ARRAY(String))), d.happening == any_(literal(names, ARRAY(String))),
            d.state == "pending", d.attempts == 0, d.next_attempt_at > work.now,
        )
        .values(next_attempt_at=work.now)
    )  # fmt: skip
