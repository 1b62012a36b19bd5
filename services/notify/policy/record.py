"""What a plan was drawn from, kept per customer, so that it can be drawn again: to explain it, and to try a policy.

The snapshot is kept and not the explanation: it is smaller, it serves both purposes, and the pure plan repeats itself.
Identifiers only; names and addresses are not in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.policy.planning import Charged, Directory, Engaged, Place
from services.notify.policy.snapshot import Snapshot
from services.notify.tables import planning

KEPT_FOR = timedelta(days=400)
"""Proposal of the house: a little more than a year."""


def planning_rows(
    work: UnitOfWork, *, planning_id: UUID, event_class: str, subject_id: str, happening: str, version: str,
    places: Iterable[Place], snapshot: Snapshot,
) -> list[dict[str, Any]]:  # fmt: skip
    by_customer: dict[str, list[str]] = {customer: [] for customer in snapshot.customers}
    for place in sorted(set(places)):
        by_customer.setdefault(place.customer_id, []).append(place.account_id)
    common = {
        "planning_id": planning_id, "event_class": event_class, "subject_id": subject_id, "happening": happening,
        "policy_version": version, "planned_at": work.now,
    }  # fmt: skip
    people = people_by_customer(snapshot)
    return [
        {**common, "customer_id": customer, "account_ids": accounts, "people": people.get(customer, {})}
        for customer, accounts in sorted(by_customer.items())
    ]


async def remember(work: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await work.db.execute(upsert(planning).on_conflict_do_nothing(), rows)


async def forget(work: UnitOfWork) -> int:
    """Plannings older than the proof of notice is kept; who was told what stays with the messages."""
    gone = delete(planning).where(planning.c.planned_at < work.now - KEPT_FOR).returning(planning.c.planning_id)
    return len((await work.db.execute(gone)).all())


def people_by_customer(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """The snapshot cut by customer, as JSON."""
    directory = snapshot.directory
    cut: dict[str, dict[str, Any]] = {
        customer: {"engaged": [], "charged": [], "listed": [], "told": {}, "reach": {}, "off": {}}
        for customer in snapshot.customers
    }
    for e in sorted(directory.engaged, key=lambda e: (e.customer_id, e.person_id, e.role, _iso(e.valid_from) or "")):
        _add(cut, e.customer_id, e.person_id, directory)["engaged"].append(
            [e.person_id, e.role, sorted(e.account_ids), _iso(e.valid_from), _iso(e.valid_to)]
        )
    for c in sorted(directory.charged, key=lambda c: (c.customer_id, c.person_id, c.role, c.acting_for or "")):
        _add(cut, c.customer_id, c.person_id, directory)["charged"].append(
            [c.person_id, c.role, c.named, c.acting_for, c.on_duty]
        )
    for person, customer in sorted(directory.listed.items()):
        _add(cut, customer, person, directory)["listed"].append(person)
    for person, places in directory.told.items():
        for customer in sorted({p.customer_id for p in places} or snapshot.customers):
            own = _add(cut, customer, person, directory)
            own["told"][person] = sorted(p.account_id for p in places if p.customer_id == customer)
    return cut


def _add(cut: dict[str, dict[str, Any]], customer: str, person: str, directory: Directory) -> dict[str, Any]:
    empty: dict[str, Any] = {"engaged": [], "charged": [], "listed": [], "told": {}, "reach": {}, "off": {}}
    own = cut.setdefault(customer, empty)
    for name, channels in (("reach", directory.reach), ("off", directory.off)):
        if person in channels:
            own[name][person] = sorted(channels[person])
    return own


def directory_from(rows: Sequence[Mapping[str, Any]]) -> tuple[Directory, frozenset[str], tuple[Place, ...]]:
    """The directory, the customers and the places of one planning, from its rows."""
    told: dict[str, set[Place]] = {}
    for row in rows:
        for person, accounts in row["people"].get("told", {}).items():
            told.setdefault(person, set()).update(Place(customer_id=row["customer_id"], account_id=a) for a in accounts)
    directory = Directory(
        engaged=tuple(
            Engaged(
                person_id=p, customer_id=row["customer_id"], role=role, account_ids=frozenset(accounts),
                valid_from=_moment(begins), valid_to=_moment(ends),
            )
            for row in rows for p, role, accounts, begins, ends in row["people"].get("engaged", [])
        ),
        charged=tuple(
            Charged(
                person_id=p, customer_id=row["customer_id"], role=role, named=named, acting_for=acting, on_duty=on_duty
            )
            for row in rows for p, role, named, acting, on_duty in row["people"].get("charged", [])
        ),
        listed={p: row["customer_id"] for row in rows for p in row["people"].get("listed", [])},
        reach=_channels(rows, "reach"), off=_channels(rows, "off"),
        told={person: frozenset(places) for person, places in told.items()},
    )  # fmt: skip
    places = tuple(
        Place(customer_id=row["customer_id"], account_id=a) for row in rows for a in row["account_ids"]
    )  # fmt: skip
    return directory, frozenset(row["customer_id"] for row in rows), places


def _channels(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, frozenset[str]]:
    return {person: frozenset(c) for row in rows for person, c in row["people"].get(name, {}).items()}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(iso: str | None) -> datetime | None:
    return None if iso is None else datetime.fromisoformat(iso)
