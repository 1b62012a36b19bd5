"""Persons, their contacts as ciphertext, and what they are to customers."""

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.marketing import PersonChanged
from services.contracts.notify import EngagementsChanged
from services.kernel.auth.directory import grants_of
from services.kernel.auth.grants import replace_grants
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify.directory.expansion import grants_of_engagements
from services.notify.directory.vault import PersonKey, vault
from services.notify.tables import contact, engagement, holding, person


async def store_person(work: UnitOfWork, *, event: PersonChanged) -> None:
    """The archive's snapshot replaces what the archive said before; an openid bound here stays unless it names one."""
    key = await _key(work, person_id=event.person_id, language=event.language)
    await work.db.execute(
        update(person)
        .where(person.c.person_id == event.person_id)
        .values(language=event.language, name_cipher=key.seal(event.name, field="name"))
    )
    await work.db.execute(delete(contact).where(contact.c.person_id == event.person_id, contact.c.kind != "wechat"))
    for kind, value in (("mobile", event.phone), ("mail", event.email)):
        if value is not None:
            await _put_contact(work, key, kind=kind, value=value, source="archive")
    if event.openid is not None:
        await _put_openid(work, key, openid=event.openid, source="archive")
    work.arrived("person", event.person_id)


async def change_engagements(work: UnitOfWork, *, event: PersonChanged) -> None:
    """All engagements of the person anew, their grants here and, published, everywhere."""
    await work.db.execute(delete(engagement).where(engagement.c.person_id == event.person_id))
    rows = [
        {
            "person_id": event.person_id, "engagement_id": e.engagement_id, "customer_id": e.customer_id,
            "account_ids": list(e.account_ids), "role": e.role, "valid_from": e.valid_from, "valid_to": e.valid_to,
        }
        for e in event.engagements
    ]  # fmt: skip
    if rows:
        await work.db.execute(insert(engagement), rows)
    grants = grants_of_engagements(event.person_id, event.engagements)
    await replace_grants(work, origin=f"person:{event.person_id}", grants=grants_of(grants))
    work.emit(EngagementsChanged(person_id=event.person_id, version=event.version, grants=grants))


async def remove_person(work: UnitOfWork, *, person_id: str) -> None:
    """Forget the person; messages keep the bare identifier as proof. Who still holds a post stays as staff."""
    await work.db.execute(delete(engagement).where(engagement.c.person_id == person_id))
    await replace_grants(work, origin=f"person:{person_id}", grants=[])
    held = await work.db.execute(select(holding.c.post_id).where(holding.c.person_id == person_id).limit(1))
    if held.first() is None:
        await work.db.execute(delete(person).where(person.c.person_id == person_id))
    work.emit_deletion(EngagementsChanged, aggregate_id=person_id)


async def bind_wechat(work: UnitOfWork, *, person_id: str, openid: str) -> None:
    """Tie an openid to a person; an openid belongs to one person. Raises `NotFound` for an unknown person."""
    row = (await work.db.execute(select(person).where(person.c.person_id == person_id))).first()
    if row is None:
        raise NotFound(what_zh="人员", what_en="person", field="person_id")
    key = vault().unwrap(row.wrapped_key, person_id=person_id)
    await _put_openid(work, key, openid=openid, source="person")
    await work.audit(action="wechat-bound", object_type="person", object_id=person_id)


async def openid_of(work: UnitOfWork, *, person_id: str) -> str | None:
    """None when none is bound or the provider said that it cannot be used."""
    query = select(person.c.wrapped_key, contact.c.value_cipher).join_from(person, contact)
    query = query.where(
        person.c.person_id == person_id, contact.c.kind == "wechat", contact.c.unusable_because.is_(None)
    )
    row = (await work.db.execute(query)).first()
    if row is None:
        return None
    return vault().unwrap(row.wrapped_key, person_id=person_id).open(row.value_cipher, field="wechat")


async def mark_unusable(work: UnitOfWork, *, person_id: str, because: str) -> None:
    await work.db.execute(
        update(contact)
        .where(contact.c.person_id == person_id, contact.c.kind == "wechat")
        .values(unusable_because=because[:200])
    )


async def _key(work: UnitOfWork, *, person_id: str, language: str) -> PersonKey:
    fresh, wrapped = vault().new_key(person_id=person_id)
    values = {
        "person_id": person_id, "language": language, "wrapped_key": wrapped,
        "name_cipher": fresh.seal("", field="name"),
    }  # fmt: skip
    await work.db.execute(upsert(person).values(**values).on_conflict_do_nothing())
    row = (await work.db.execute(select(person).where(person.c.person_id == person_id).with_for_update())).one()
    return vault().unwrap(row.wrapped_key, person_id=person_id)


async def _put_openid(work: UnitOfWork, key: PersonKey, *, openid: str, source: str) -> None:
    """The same openid again keeps what is known of it, such as that the person blocked us."""
    index = vault().blind_index(kind="wechat", value=openid)
    mine, same = contact.c.person_id == key.person_id, contact.c.blind_index == index
    await work.db.execute(delete(contact).where(contact.c.kind == "wechat", or_(and_(mine, ~same), and_(~mine, same))))
    await _put_contact(work, key, kind="wechat", value=openid, source=source)


async def _put_contact(work: UnitOfWork, key: PersonKey, *, kind: str, value: str, source: str) -> None:
    statement = upsert(contact).values(
        person_id=key.person_id, kind=kind, blind_index=vault().blind_index(kind=kind, value=value),
        value_cipher=key.seal(value, field=kind), source=source,
    )  # fmt: skip
    await work.db.execute(statement.on_conflict_do_nothing())
