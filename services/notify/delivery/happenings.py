"""Turns something that happened into rows of messages: looks up the people, plans, stores, says what is delivered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import update

from services.kernel.work import UnitOfWork
from services.notify.delivery.endpoints import as_system, recipients_of
from services.notify.delivery.fanout import Told, store, withdraw
from services.notify.policy.document import Rule
from services.notify.policy.planning import Place, Recipient, plan
from services.notify.policy.record import remember
from services.notify.policy.snapshot import snapshot_of
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

    @property
    def name(self) -> str:
        return "|".join(p for p in (self.event_class, self.subject_id, self.occasion) if p)


async def tell(work: UnitOfWork, *, happening: Happening) -> int:
    """Plan and store the messages; how many people are told. Safe to repeat."""
    in_force = await policy_in_force(work)
    rule = in_force.rule_for(happening.event_class)
    await withdraw(work, rule=rule, subject_id=happening.subject_id, happening=happening.name)
    snapshot = await snapshot_of(
        work, in_force=in_force, event_class=happening.event_class, customers=happening.customers,
        subject_id=happening.subject_id, listed=happening.people,
    )  # fmt: skip
    recipients = plan(
        rule=rule, customers=snapshot.customers, places=happening.places, directory=snapshot.directory, now=work.now
    ).recipients
    await remember(
        work, planning_id=work.new_id(f"planning|{happening.name}|{happening.part}"), version=in_force.version,
        event_class=happening.event_class, subject_id=happening.subject_id, happening=happening.name,
        places=happening.places, snapshot=snapshot,
    )  # fmt: skip
    told = Told(
        name=happening.name, event_class=happening.event_class, subject_id=happening.subject_id,
        event_at=happening.event_at, facts=happening.facts, part=happening.part, hold_until=happening.hold_until,
    )  # fmt: skip
    everyone = [*map(as_system, recipients), *await _systems(work, rule, happening)]
    await store(work, rule=rule, told=told, recipients=everyone)
    return len(everyone)


async def _systems(work: UnitOfWork, rule: Rule, happening: Happening) -> list[Recipient]:
    """Customers' own systems hear what the customers' people hear."""
    if not rule.customer_roles:
        return []
    return await recipients_of(
        work, event_class=happening.event_class, customers=happening.customers, places=happening.places
    )


async def release(work: UnitOfWork, *, name: str) -> None:
    """All parts of the happening's set are here: what was held for them may go."""
    await work.db.execute(
        update(delivery)
        .where(delivery.c.happening == name, delivery.c.state == "pending", delivery.c.attempts == 0)
        .values(next_attempt_at=work.now)
    )
