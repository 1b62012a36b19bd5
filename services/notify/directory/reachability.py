"""Can a customer's people be reached: an openid that is bound and follows, a phone, a mail that does not bounce."""

from typing import Any

from sqlalchemy import or_, select

from services.kernel.auth.grants import visible
from services.kernel.work import UnitOfWork
from services.notify.directory.contacts import CHANNEL_OF
from services.notify.directory.vault import masked, vault
from services.notify.tables import contact, customer, engagement, person


def engaged_now(work: UnitOfWork) -> tuple[Any, ...]:
    e = engagement.c
    return (
        e.valid_from <= work.now, e.ended_at.is_(None), or_(e.valid_to.is_(None), e.valid_to > work.now),
        visible(e.customer_id, work=work),
    )  # fmt: skip


async def working_channels(work: UnitOfWork) -> dict[str, set[tuple[str, str]]]:
    """Key account -> (person, channel) pairs with an address that is not known to fail; none is an empty set."""
    customers = select(customer.c.customer_id).where(customer.c.key_account, visible(customer.c.customer_id, work=work))
    found: dict[str, set[tuple[str, str]]] = {c: set() for c in (await work.db.execute(customers)).scalars()}
    query = (
        select(engagement.c.customer_id, contact.c.person_id, contact.c.kind)
        .join_from(engagement, contact, contact.c.person_id == engagement.c.person_id)
        .where(*engaged_now(work), contact.c.in_force, contact.c.unusable_because.is_(None))
    )
    for customer_id, person_id, kind in await work.db.execute(query):
        if customer_id in found:
            found[customer_id].add((person_id, CHANNEL_OF[kind]))
    return found


async def people_of(work: UnitOfWork, *, customer_id: str) -> list[dict[str, Any]]:
    """The customer's people now, each with their addresses: masked, with source, confirmation and what is wrong."""
    query = (
        select(engagement, person.c.wrapped_key, person.c.name_cipher)
        .join_from(engagement, person, person.c.person_id == engagement.c.person_id)
        .where(*engaged_now(work), engagement.c.customer_id == customer_id)
    )
    rows = (await work.db.execute(query.order_by(engagement.c.person_id, engagement.c.engagement_id))).all()
    addresses = await _addresses(work, [r.person_id for r in rows])
    return [
        {
            "person_id": r.person_id, "role": r.role, "account_ids": list(r.account_ids), "source": r.source,
            "valid_from": r.valid_from, "valid_to": r.valid_to,
            "name": vault().unwrap(r.wrapped_key, person_id=r.person_id).open(r.name_cipher, field="name"),
            "contacts": addresses.get(r.person_id, []),
        }
        for r in rows
    ]  # fmt: skip


async def _addresses(work: UnitOfWork, people: list[str]) -> dict[str, list[dict[str, Any]]]:
    c = contact.c
    query = (
        select(contact, person.c.wrapped_key)
        .join_from(contact, person)
        .where(c.person_id.in_(people))
        .order_by(c.person_id, c.kind, c.in_force.desc(), c.source)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for r in await work.db.execute(query):
        value = vault().unwrap(r.wrapped_key, person_id=r.person_id).open(r.value_cipher, field=r.kind)
        found.setdefault(r.person_id, []).append(
            {
                "kind": r.kind, "source": r.source, "masked": masked(value), "in_force": r.in_force,
                "said_at": r.said_at, "confirmed_at": r.confirmed_at, "unusable_because": r.unusable_because,
            }
        )  # fmt: skip
    return found
