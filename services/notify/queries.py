"""What the routes read; rows of customers only inside the caller's scope."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, and_, func, or_, select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify import schemas
from services.notify.delivery.stream import SHOWN
from services.notify.directory.vault import masked, vault
from services.notify.messages_schemas import PersonToCall
from services.notify.tables import contact, customer, delivery, delivery_account, engagement, person
from services.notify.templates.store import texts_in_force
from services.notify.templates.texts import title_and_body


async def inbox(work: UnitOfWork, *, limit: int) -> schemas.Inbox:
    """All that the caller was told, on whichever channel; what failed on one stands here once, as inbox."""
    d = delivery.c
    query = select(delivery).where(
        d.person_id == work.actor.person_id, d.state.in_(SHOWN), visible(d.customer_id, work=work)
    )
    rows = (await work.db.execute(query.order_by(d.created_at.desc(), d.delivery_id).limit(limit))).mappings().all()
    accounts = await _accounts(work, [r["delivery_id"] for r in rows])
    await texts_in_force(work)
    return schemas.Inbox(items=[schemas.InboxItem(**_item(r, accounts)) for r in rows])


async def inbox_items(work: UnitOfWork, *, delivery_ids: Sequence[UUID]) -> list[schemas.InboxItem]:
    """The caller's own messages among these."""
    d = delivery.c
    mine = (d.person_id == work.actor.person_id, d.state.in_(SHOWN), visible(d.customer_id, work=work))
    query = select(delivery).where(d.delivery_id.in_(delivery_ids), *mine).order_by(d.created_xid, d.seq)
    rows = (await work.db.execute(query)).mappings().all()
    accounts = await _accounts(work, delivery_ids)
    return [schemas.InboxItem(**_item(r, accounts)) for r in rows]


async def unread(work: UnitOfWork, *, person_id: str, days: int) -> int:
    """Messages of the last days that the person has not opened on any channel."""
    d = delivery.c
    read = select(d.happening).where(d.person_id == person_id, d.opened_at.is_not(None))
    query = select(func.count(d.happening.distinct())).where(
        d.person_id == person_id, d.state.in_(SHOWN), d.created_at > work.now - timedelta(days=days),
        d.happening.not_in(read), visible(d.customer_id, work=work),
    )  # fmt: skip
    return int((await work.db.execute(query)).scalar_one())


async def people_to_call(work: UnitOfWork, *, customer_id: str) -> list[PersonToCall]:
    """The customer's people now, with name and phone in the clear: for the desk that has to call them."""
    e = engagement.c
    query = (
        select(e.person_id, e.role, person.c.wrapped_key, person.c.name_cipher, contact.c.value_cipher)
        .join_from(engagement, person, person.c.person_id == e.person_id)
        .join(
            contact,
            and_(contact.c.person_id == e.person_id, contact.c.kind == "mobile", contact.c.in_force),
            isouter=True,
        )
        .where(
            e.customer_id == customer_id, visible(e.customer_id, work=work), e.valid_from <= work.now,
            or_(e.valid_to.is_(None), e.valid_to > work.now),
        )
        .order_by(e.person_id)
    )  # fmt: skip
    found = []
    for row in await work.db.execute(query):
        key = vault().unwrap(row.wrapped_key, person_id=row.person_id)
        phone = None if row.value_cipher is None else key.open(row.value_cipher, field="mobile")
        name = key.open(row.name_cipher, field="name")
        found.append(PersonToCall(person_id=row.person_id, name=name, role=row.role, phone=phone))
    return found


async def deliveries(
    work: UnitOfWork, *, subject_id: str | None, customer_id: str | None, limit: int
) -> schemas.Deliveries:
    d = delivery.c
    query = select(delivery).where(visible(d.customer_id, work=work))
    if subject_id is not None:
        query = query.where(d.subject_id == subject_id)
    if customer_id is not None:
        query = query.where(d.customer_id == customer_id)
    rows = (await work.db.execute(query.order_by(d.created_at.desc(), d.delivery_id).limit(limit))).mappings().all()
    accounts = await _accounts(work, [r["delivery_id"] for r in rows])
    await texts_in_force(work)
    names = ("person_id", "customer_id", "reason", "attempts", "event_at", "accepted_at", "ended_at")
    return schemas.Deliveries(
        items=[schemas.DeliveryItem(**_item(r, accounts), **{n: r[n] for n in names}) for r in rows]
    )


async def me(work: UnitOfWork) -> schemas.Me:
    """Raises `NotFound` when the directory does not hold the signed-in person."""
    person_id = work.actor.person_id
    row = (await work.db.execute(select(person).where(person.c.person_id == person_id))).first()
    if row is None:
        raise NotFound(what_zh="人员", what_en="person")
    key = vault().unwrap(row.wrapped_key, person_id=person_id)
    contacts = await work.db.execute(select(contact).where(contact.c.person_id == person_id).order_by(contact.c.kind))
    held = await work.db.execute(select(engagement).where(engagement.c.person_id == person_id))
    grants = work.tables.access_grant.c
    roles = await work.db.execute(select(grants.role).where(grants.person_id == person_id).distinct())
    return schemas.Me(
        person_id=person_id,
        name=key.open(row.name_cipher, field="name"),
        language=row.language,
        contacts=[
            schemas.ContactOfMine(
                kind=c.kind, masked=masked(key.open(c.value_cipher, field=c.kind)), usable=c.unusable_because is None
            )
            for c in contacts
        ],
        engagements=[
            schemas.EngagementOfMine(
                customer_id=e.customer_id, role=e.role, account_ids=list(e.account_ids), valid_from=e.valid_from,
                valid_to=e.valid_to,
            )
            for e in held
        ],
        roles=sorted(roles.scalars()),
    )  # fmt: skip


async def require_customer(work: UnitOfWork, *, customer_id: str) -> None:
    """Raises `NotFound` for unknown customers and for those outside the caller's scope alike."""
    query = select(customer.c.customer_id).where(
        customer.c.customer_id == customer_id, visible(customer.c.customer_id, work=work)
    )
    if (await work.db.execute(query)).first() is None:
        raise NotFound(what_zh="客户", what_en="customer", field="customer_id")


async def require_person(work: UnitOfWork, *, person_id: str) -> None:
    """A person is in reach through one of their customers; who sees everything reaches staff as well."""
    if work.scope.everything:
        return
    query = select(engagement.c.person_id).where(
        engagement.c.person_id == person_id, visible(engagement.c.customer_id, work=work)
    )
    if (await work.db.execute(query.limit(1))).first() is None:
        raise NotFound(what_zh="人员", what_en="person", field="person_id")


async def _accounts(work: UnitOfWork, delivery_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    a = delivery_account.c
    query = select(a.delivery_id, a.account_id).where(
        a.delivery_id.in_(delivery_ids), visible(a.customer_id, work=work)
    )
    found: dict[UUID, list[str]] = {}
    for row in await work.db.execute(query.order_by(a.account_id)):
        found.setdefault(row.delivery_id, []).append(row.account_id)
    return found


def _item(row: RowMapping, accounts: dict[UUID, list[str]]) -> dict[str, Any]:
    ids = accounts.get(row["delivery_id"], [])
    title, body = title_and_body(row["event_class"], language=row["language"], facts=row["facts"], account_ids=ids)
    kept = ("delivery_id", "event_class", "subject_id", "channel", "state", "created_at")
    return {**{name: row[name] for name in kept}, "title": title, "body": body, "account_ids": ids}
