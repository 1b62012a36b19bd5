"""Who is told, of which accounts, over which channel: pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.notify.policy.document import Rule


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """An account of a customer."""

    customer_id: str
    account_id: str


@dataclass(frozen=True, kw_only=True)
class Engaged:
    """A customer's person now; without `account_ids` for all accounts."""

    person_id: str
    customer_id: str
    role: str
    account_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Charged:
    """A member of staff who answers for the customer now; `named`: by the customer's name, not by its area."""

    person_id: str
    customer_id: str
    role: str
    named: bool


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What planning needs to know of people, at the moment of planning."""

    engaged: tuple[Engaged, ...] = ()
    charged: tuple[Charged, ...] = ()
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Channels on which a person can be reached now."""
    told: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    """Who was told of the happening that this one ends, and of which accounts."""


@dataclass(frozen=True, kw_only=True)
class Recipient:
    person_id: str
    channel: str
    customer_id: str
    places: tuple[Place, ...]


def plan(
    *, rule: Rule, customers: Iterable[str], places: Iterable[Place], directory: Directory
) -> tuple[Recipient, ...]:
    """One recipient per person, with all places that concern the person, on the first channel the person has.

    `places` may be empty where the happening concerns a customer as a whole.
    """
    touched, there = frozenset(customers), tuple(sorted(set(places)))
    if rule.told_of is not None:
        audience = _those_told(directory, touched, there)
    else:
        audience = {**_staff(rule, directory, touched, there), **_customers(rule, directory, touched, there)}
    return tuple(
        Recipient(person_id=person, channel=_channel(rule, person, directory), customer_id=customer, places=own)
        for person, (customer, own) in sorted(audience.items())
    )


_Audience = dict[str, tuple[str, tuple[Place, ...]]]


def _customers(rule: Rule, directory: Directory, touched: frozenset[str], places: tuple[Place, ...]) -> _Audience:
    own: dict[str, set[Place]] = {}
    first: dict[str, str] = {}
    for engaged in sorted(directory.engaged, key=lambda e: (e.person_id, e.customer_id)):
        if engaged.role not in rule.customer_roles or engaged.customer_id not in touched:
            continue
        theirs = {p for p in places if p.customer_id == engaged.customer_id}
        if engaged.account_ids:
            theirs = {p for p in theirs if p.account_id in engaged.account_ids}
        if not theirs and places:
            continue
        own.setdefault(engaged.person_id, set()).update(theirs)
        first.setdefault(engaged.person_id, engaged.customer_id)
    return {person: (first[person], tuple(sorted(theirs))) for person, theirs in own.items()}


def _staff(rule: Rule, directory: Directory, touched: frozenset[str], places: tuple[Place, ...]) -> _Audience:
    """Whoever answers for a customer by name goes before those who answer for its area, role by role."""
    told = [c for c in directory.charged if c.role in rule.staff_roles and c.customer_id in touched]
    named = {(c.role, c.customer_id) for c in told if c.named}
    audience: _Audience = {}
    for charged in sorted(told, key=lambda c: (c.person_id, c.customer_id)):
        if charged.named or (charged.role, charged.customer_id) not in named:
            theirs = {p for p in places if p.customer_id == charged.customer_id}
            customer, before = audience.get(charged.person_id, (charged.customer_id, ()))
            audience[charged.person_id] = (customer, tuple(sorted({*before, *theirs})))
    return audience


def _those_told(directory: Directory, touched: frozenset[str], places: tuple[Place, ...]) -> _Audience:
    audience: _Audience = {}
    for person, known in directory.told.items():
        theirs = tuple(sorted(known & set(places)))
        if theirs or not places or not known:
            customers = sorted({p.customer_id for p in theirs} or touched)
            audience[person] = (customers[0], theirs)
    return audience


def _channel(rule: Rule, person_id: str, directory: Directory) -> str:
    return next_channel(rule.channels, after=None, reach=directory.reach.get(person_id, frozenset()))


def next_channel(ladder: Sequence[str], *, after: str | None, reach: Iterable[str]) -> str:
    """The first step of the ladder below `after` that the person has; the inbox is always there."""
    usable = {*reach, "inbox"}
    steps = ladder[ladder.index(after) + 1 :] if after in ladder else ladder
    return next((channel for channel in steps if channel in usable), "inbox")
