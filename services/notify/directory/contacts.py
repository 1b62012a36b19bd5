"""Addresses of persons: several sources, one in force; kept as ciphertext."""

from collections.abc import Iterable

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.directory.precedence import Source, Statement, in_force
from services.notify.directory.vault import PersonKey, vault
from services.notify.tables import contact, person

CHANNEL_OF = {"wechat": "wechat", "mobile": "sms", "mail": "mail", "wecom": "wecom"}
KIND_OF = {channel: kind for kind, channel in CHANNEL_OF.items()} | {"chat": "wechat"}


async def say(work: UnitOfWork, key: PersonKey, *, kind: str, value: str, source: Source, by: str) -> None:
    """One source's word on one kind of address. The same value again keeps what is known of it, such as a bounce."""
    index = vault().blind_index(kind=kind, value=value)
    if kind == "wechat":  # an openid belongs to one person
        await work.db.execute(
            delete(contact).where(
                contact.c.kind == kind, contact.c.blind_index == index, contact.c.person_id != key.person_id
            )
        )
    mine = (contact.c.person_id == key.person_id, contact.c.kind == kind, contact.c.source == source)
    known = (await work.db.execute(select(contact.c.blind_index).where(*mine))).scalar()
    if known != index:
        values = {
            "blind_index": index, "value_cipher": key.seal(value, field=kind), "said_at": work.now, "said_by": by,
            "confirmed_at": work.now if source == "person" else None, "unusable_because": None, "in_force": False,
        }  # fmt: skip
        statement = upsert(contact).values(person_id=key.person_id, kind=kind, source=source, **values)
        await work.db.execute(statement.on_conflict_do_update(index_elements=list(contact.primary_key), set_=values))
    await settle(work, person_id=key.person_id, kind=kind)


async def withdraw(work: UnitOfWork, *, person_id: str, kind: str, source: Source) -> None:
    await work.db.execute(
        delete(contact).where(
            contact.c.person_id == person_id, contact.c.kind == kind, contact.c.source == source
        )
    )  # fmt: skip
    await settle(work, person_id=person_id, kind=kind)


async def settle(work: UnitOfWork, *, person_id: str, kind: str) -> None:
    """Mark the statement that is in force now."""
    c = contact.c
    rows = await work.db.execute(select(contact).where(c.person_id == person_id, c.kind == kind).with_for_update())
    statements = [
        Statement(source=r.source, index=r.blind_index, said_at=r.said_at, usable=r.unusable_because is None)
        for r in rows
    ]
    chosen = in_force(statements)
    if chosen is not None:
        await work.db.execute(
            update(contact)
            .where(c.person_id == person_id, c.kind == kind)
            .values(in_force=c.source == chosen.source)
        )  # fmt: skip


async def address_of(work: UnitOfWork, *, person_id: str, channel: str) -> str | None:
    """The address in the clear; None when there is none or it is known not to work."""
    kind, c = KIND_OF.get(channel), contact.c
    query = select(person.c.wrapped_key, c.value_cipher).join_from(person, contact)
    query = query.where(c.person_id == person_id, c.kind == kind, c.in_force, c.unusable_because.is_(None))
    row = (await work.db.execute(query)).first()
    if row is None or kind is None:
        return None
    return vault().unwrap(row.wrapped_key, person_id=person_id).open(row.value_cipher, field=kind)


async def reach_of(work: UnitOfWork, people: Iterable[str]) -> dict[str, frozenset[str]]:
    """Person -> channels with an address that may work."""
    c = contact.c
    query = select(c.person_id, c.kind).where(c.person_id.in_(sorted(people)), c.in_force, c.unusable_because.is_(None))
    found: dict[str, set[str]] = {}
    for row in await work.db.execute(query):
        channels = {channel for channel, kind in KIND_OF.items() if kind == row.kind}
        found.setdefault(row.person_id, set()).update(channels)
    return {person_id: frozenset(channels) for person_id, channels in found.items()}


async def mark_unusable(work: UnitOfWork, *, person_id: str, because: str, channel: str = "wechat") -> None:
    """The provider said that the address does not work; another source's may take over."""
    c, kind = contact.c, KIND_OF[channel]
    await work.db.execute(
        update(contact).where(c.person_id == person_id, c.kind == kind, c.in_force).values(
            unusable_because=because[:200]
        )
    )  # fmt: skip
    await settle(work, person_id=person_id, kind=kind)


async def mark_usable(work: UnitOfWork, *, kind: str, value: str) -> list[str]:
    """The address works again (followed anew, a message arrived); whose it is."""
    index = vault().blind_index(kind=kind, value=value)
    query = update(contact).where(contact.c.kind == kind, contact.c.blind_index == index).values(unusable_because=None)
    people = sorted(set((await work.db.execute(query.returning(contact.c.person_id))).scalars()))
    for person_id in people:
        await settle(work, person_id=person_id, kind=kind)
    return people


async def person_with(work: UnitOfWork, *, kind: str, value: str) -> str | None:
    """Whose address it is, if it is in force for one."""
    index = vault().blind_index(kind=kind, value=value)
    query = select(contact.c.person_id).where(
        contact.c.kind == kind, contact.c.blind_index == index, contact.c.in_force
    )
    return (await work.db.execute(query.order_by(contact.c.person_id).limit(1))).scalar()
