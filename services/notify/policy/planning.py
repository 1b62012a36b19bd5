"""Who is told, of which accounts, over which channels, and why; who is not told, and why not: pure.

Rule one-message-per-person: 一事一人一条，列明其全部户号。One happening, one person, one message with all accounts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.notify.policy.document import Rule
from services.notify.policy.reasons import Reason, Why

INBOX = "inbox"


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """An account of a customer."""

    customer_id: str
    account_id: str


@dataclass(frozen=True, kw_only=True)
class Engaged:
    """What a person is to a customer in `[valid_from, valid_to)`; without `account_ids` for all accounts."""

    person_id: str
    customer_id: str
    role: str
    account_ids: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        begun = self.valid_from is None or self.valid_from <= now
        return begun and (self.valid_to is None or now < self.valid_to)


@dataclass(frozen=True, kw_only=True)
class Charged:
    """A member of staff who answers for the customer now; `named`: by the customer's name, not by its area."""

    person_id: str
    customer_id: str
    role: str
    named: bool
    acting_for: str | None = None
    on_duty: bool = False


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What planning needs to know of people, at the moment of planning."""

    engaged: tuple[Engaged, ...] = ()
    charged: tuple[Charged, ...] = ()
    listed: Mapping[str, str] = field(default_factory=dict)
    """Persons whom the happening itself names, with the customer it concerns for them."""
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Person -> channels with a usable address; the inbox reaches everybody."""
    off: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Person -> channels they switched off for this class."""
    told: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    """Who was told of the happening that this one ends, and of which accounts."""


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """`channels` is the ladder that reaches this person: never empty, the inbox last."""

    person_id: str
    customer_id: str
    places: tuple[Place, ...]
    channels: tuple[str, ...]

    @property
    def channel(self) -> str:
        return self.channels[0]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One person and one customer: told or not, by which rules."""

    person_id: str
    customer_id: str
    told: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    recipients: tuple[Recipient, ...]
    explanations: tuple[Explanation, ...]


def plan(*, rule: Rule, customers: Iterable[str], places: Iterable[Place], directory: Directory, now: datetime) -> Plan:
    """One recipient per person, with all places that concern the person.

    `places` may be empty where the happening concerns a customer as a whole.
    """
    touched, there = frozenset(customers), tuple(sorted(set(places)))
    if rule.told_of:
        found = _those_told(rule, directory, touched, there)
    elif directory.listed:
        found = [
            _Found(person, customer, _of(there, customer), (Reason(Why.LISTED, rule.audience_name),))
            for person, customer in sorted(directory.listed.items())
        ]
    else:
        found = [*_staff(rule, directory, touched, there), *_customers(rule, directory, touched, there, now)]
    return _merged(found, rule=rule, directory=directory)


@dataclass(frozen=True)
class _Found:
    person_id: str
    customer_id: str
    places: tuple[Place, ...] | None
    """None: not told."""
    reasons: tuple[Reason, ...]


def _merged(found: Iterable[_Found], *, rule: Rule, directory: Directory) -> Plan:
    by_person: dict[str, list[_Found]] = {}
    for item in found:
        by_person.setdefault(item.person_id, []).append(item)
    recipients: list[Recipient] = []
    explanations: list[Explanation] = []
    for person, items in sorted(by_person.items()):
        told = [i for i in items if i.places is not None]
        how: tuple[Reason, ...] = ()
        if told:
            recipient, how = _recipient(person, told, rule=rule, directory=directory)
            recipients.append(recipient)
        explanations += _explained(person, items, how)
    return Plan(recipients=tuple(recipients), explanations=tuple(explanations))


def _explained(person: str, items: Iterable[_Found], how: tuple[Reason, ...]) -> list[Explanation]:
    """Per customer; who is told in one capacity is told, and the others say no more."""
    by_customer: dict[str, list[_Found]] = {}
    for item in items:
        by_customer.setdefault(item.customer_id, []).append(item)
    lines = []
    for customer, own in sorted(by_customer.items()):
        told = [i for i in own if i.places is not None]
        reasons = tuple(dict.fromkeys(r for i in (told or own) for r in i.reasons))
        lines.append(
            Explanation(
                person_id=person, customer_id=customer, told=bool(told), reasons=reasons + (how if told else ())
            )
        )
    return lines


def _recipient(
    person: str, told: list[_Found], *, rule: Rule, directory: Directory
) -> tuple[Recipient, tuple[Reason, ...]]:
    channels, how = _ladder(rule, person, directory)
    if rule.digest is not None and not rule.mandatory:
        how += (Reason(Why.DIGEST, rule.digest),)
    elif rule.quiet == "hold" and not rule.mandatory:
        how += (Reason(Why.QUIET, ""),)
    recipient = Recipient(
        person_id=person,
        customer_id=min(i.customer_id for i in told),
        places=tuple(sorted({p for i in told for p in i.places or ()})),
        channels=channels,
    )
    return recipient, how


def _ladder(rule: Rule, person: str, directory: Directory) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    reach = directory.reach.get(person, frozenset())
    off = frozenset() if rule.mandatory else directory.off.get(person, frozenset())
    ladder: list[str] = []
    reasons: list[Reason] = []
    for channel in rule.channels:
        if channel == INBOX:
            continue
        if channel not in reach:
            reasons.append(Reason(Why.NO_ADDRESS, channel))
        elif channel in off:
            reasons.append(Reason(Why.SWITCHED_OFF, channel))
        else:
            ladder.append(channel)
    ladder.append(INBOX)
    return tuple(ladder), (*reasons, Reason(Why.CHANNELS, " > ".join(ladder)))


def _customers(
    rule: Rule, directory: Directory, touched: frozenset[str], places: tuple[Place, ...], now: datetime
) -> list[_Found]:
    if not rule.customer_roles:
        return []
    found = []
    for e in sorted(directory.engaged, key=lambda e: (e.person_id, e.customer_id, e.role)):
        if e.customer_id not in touched:
            continue
        theirs = _of(places, e.customer_id)
        if e.account_ids:
            theirs = tuple(p for p in theirs if p.account_id in e.account_ids)
        if not e.in_force(now):
            why, told = Reason(Why.NOT_IN_FORCE, e.role), False
        elif e.role not in rule.customer_roles:
            why, told = Reason(Why.ROLE_NOT_MEANT, e.role), False
        elif places and not theirs:
            why, told = Reason(Why.OTHER_ACCOUNTS, ",".join(sorted(e.account_ids))), False
        else:
            why, told = Reason(Why.CUSTOMER_ROLE, e.role), True
        found.append(_Found(e.person_id, e.customer_id, theirs if told else None, (why,)))
    return found


def _staff(rule: Rule, directory: Directory, touched: frozenset[str], places: tuple[Place, ...]) -> list[_Found]:
    """Whoever answers for a customer by name goes before those who answer for its area, role by role.

    Who is represented is not told: the deputy is, in their place.
    """
    meant = [c for c in directory.charged if c.role in rule.staff_roles and c.customer_id in touched]
    named = {(c.role, c.customer_id) for c in meant if c.named}
    away = {(c.role, c.customer_id, c.acting_for) for c in meant if c.acting_for is not None}
    found = []
    for c in sorted(meant, key=lambda c: (c.person_id, c.customer_id, c.role, c.acting_for or "")):
        if not c.named and not c.on_duty and (c.role, c.customer_id) in named:
            found.append(_Found(c.person_id, c.customer_id, None, (Reason(Why.NAMED_GOES_FIRST, c.role),)))
        elif (c.role, c.customer_id, c.person_id) in away and c.acting_for is None:
            found.append(_Found(c.person_id, c.customer_id, None, (Reason(Why.REPRESENTED, c.role),)))
        else:
            found.append(_Found(c.person_id, c.customer_id, _of(places, c.customer_id), _staff_reasons(c)))
    return found


def _staff_reasons(c: Charged) -> tuple[Reason, ...]:
    first = Reason(Why.ON_DUTY if c.on_duty else Why.NAMED_POST if c.named else Why.AREA_POST, c.role)
    return (first,) if c.acting_for is None else (first, Reason(Why.ACTING_FOR, c.acting_for))


def _those_told(rule: Rule, directory: Directory, touched: frozenset[str], places: tuple[Place, ...]) -> list[_Found]:
    reason = (Reason(Why.WAS_TOLD, rule.audience_name),)
    found = []
    for person, known in sorted(directory.told.items()):
        theirs = tuple(sorted(known & set(places))) if places and known else tuple(sorted(known))
        if places and known and not theirs:
            found.append(_Found(person, min(known).customer_id, None, (Reason(Why.OTHER_PLACES, ""),)))
            continue
        for customer in sorted({p.customer_id for p in theirs} or touched):
            found.append(_Found(person, customer, _of(theirs, customer), reason))
    for e in sorted(directory.engaged, key=lambda e: (e.person_id, e.customer_id)):
        if e.customer_id in touched and e.person_id not in directory.told:
            found.append(_Found(e.person_id, e.customer_id, None, (Reason(Why.WAS_NOT_TOLD, rule.audience_name),)))
    return found


def _of(places: Iterable[Place], customer_id: str) -> tuple[Place, ...]:
    return tuple(p for p in places if p.customer_id == customer_id)


def next_channel(ladder: Sequence[str], *, after: str | None, reach: Iterable[str]) -> str:
    """The first step of the ladder below `after` that the person has; the inbox is always there."""
    usable = {*reach, INBOX}
    steps = ladder[ladder.index(after) + 1 :] if after in ladder else ladder
    return next((channel for channel in steps if channel in usable), INBOX)
