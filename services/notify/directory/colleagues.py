"""A customer's own administrator adds and ends colleagues; what they say holds against the archive's snapshots."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, or_, select, text, update

from services.kernel.auth.grants import visible, withdraw_grants
from services.kernel.errors import Conflict, InvalidInput, NotFound
from services.kernel.work import UnitOfWork
from services.notify.directory import contacts
from services.notify.directory.persons import key_for
from services.notify.directory.publishing import person_changed
from services.notify.tables import account, engagement, person

ADMINISTRATOR = "customer-administrator"


class LastAdministrator(Conflict):
    """Somebody must be left who can add colleagues."""

    code = "last-administrator"


async def add(
    work: UnitOfWork, *, customer_id: str, name: str, phone: str, email: str | None, language: str, role: str,
    account_ids: Sequence[str], valid_from: datetime | None,
) -> dict[str, Any]:  # fmt: skip
    """Raises `InvalidInput` for accounts of others, `Conflict` when the person already is that to the customer.

    A person already known by this phone is the same person, whose name and language stay as they are.
    """
    await _check_accounts(work, customer_id, account_ids)
    await _lock(work, customer_id)
    known = await contacts.person_with(work, kind="mobile", value=phone)
    person_id = known or str(work.new_id("colleague"))
    key = await key_for(work, person_id=person_id, language=language)
    if known is None:
        cipher = key.seal(name, field="name")
        await work.db.execute(update(person).where(person.c.person_id == person_id).values(name_cipher=cipher))
    elif role in await _roles(work, customer_id, person_id):
        raise Conflict(
            zh="该人员已是该客户的此类联系人，无需重复添加。", en="This person already is that to the customer.",
            field="phone",
        )  # fmt: skip
    for kind, value in (("mobile", phone), ("mail", email)):
        if value is not None:
            await contacts.say(work, key, kind=kind, value=value, source="customer", by=work.actor.person_id)
    row = {
        "person_id": person_id, "engagement_id": str(work.new_id("engagement")), "customer_id": customer_id,
        "account_ids": sorted(set(account_ids)), "role": role, "valid_from": valid_from or work.now, "valid_to": None,
        "source": "customer",
    }  # fmt: skip
    await work.db.execute(insert(engagement).values(**row))
    await person_changed(work, person_id=person_id)
    await _audit(work, "colleague-added", row)
    return row


async def end(work: UnitOfWork, *, customer_id: str, person_id: str) -> None:
    """All that the person is to the customer ends now, and with it every access.

    Raises `NotFound` for somebody who is nothing to the customer, `LastAdministrator` for the last one themselves.
    """
    await _lock(work, customer_id)
    roles = await _roles(work, customer_id, person_id)
    if not roles:
        raise NotFound(what_zh="人员", what_en="person", field="person_id")
    if ADMINISTRATOR in roles and person_id == work.actor.person_id and await _administrators(work, customer_id) == 1:
        raise LastAdministrator(
            zh="您是该客户最后一名管理员，请先添加另一名管理员。",
            en="You are the customer's last administrator; add another one first.", field="person_id",
        )  # fmt: skip
    gone = update(engagement).where(*_in_force(work, customer_id), engagement.c.person_id == person_id)
    await work.db.execute(gone.values(ended_at=work.now, ended_by=work.actor.person_id))
    g = work.tables.access_grant.c
    await withdraw_grants(work, g.origin == f"person:{person_id}", g.scope_id == customer_id)
    await person_changed(work, person_id=person_id)
    await _audit(work, "colleague-ended", {"person_id": person_id, "customer_id": customer_id})


def _in_force(work: UnitOfWork, customer_id: str) -> tuple[Any, ...]:
    e = engagement.c
    return (
        e.customer_id == customer_id, visible(e.customer_id, work=work), e.ended_at.is_(None),
        or_(e.valid_to.is_(None), e.valid_to > work.now),
    )  # fmt: skip


async def _roles(work: UnitOfWork, customer_id: str, person_id: str) -> set[str]:
    query = select(engagement.c.role).where(*_in_force(work, customer_id), engagement.c.person_id == person_id)
    return set((await work.db.execute(query)).scalars())


async def _administrators(work: UnitOfWork, customer_id: str) -> int:
    """Those who are it today; who only begins later does not count."""
    e = engagement.c
    query = select(func.count(e.person_id.distinct())).where(
        *_in_force(work, customer_id), e.role == ADMINISTRATOR, e.valid_from <= work.now
    )
    return int((await work.db.execute(query)).scalar_one())


async def _check_accounts(work: UnitOfWork, customer_id: str, account_ids: Sequence[str]) -> None:
    query = select(account.c.account_id).where(
        account.c.customer_id == customer_id, visible(account.c.customer_id, work=work)
    )
    foreign = sorted(set(account_ids) - set((await work.db.execute(query)).scalars()))
    if foreign:
        raise InvalidInput(
            zh=f"户号 {'、'.join(foreign)} 不属于该客户，请核对。",
            en=f"Accounts {', '.join(foreign)} are not this customer's; check them.", field="account_ids",
        )  # fmt: skip


async def _lock(work: UnitOfWork, customer_id: str) -> None:
    """Two administrators who end each other at once: one of them is the last and stays."""
    await work.db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:k))"), {"k": f"colleagues|{customer_id}"})


async def _audit(work: UnitOfWork, action: str, row: dict[str, Any]) -> None:
    await work.audit(
        action=action, object_type="engagement", object_id=row["person_id"], owner_id=row["customer_id"], after=row
    )
