"""Persons and what they are to customers, as the archive says; what was changed here holds against its snapshots."""

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.marketing import PersonChanged
from services.contracts.notify import EngagementsChanged
from services.kernel.auth.directory import grants_of
from services.kernel.auth.grants import replace_grants
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify.directory import contacts
from services.notify.directory.expansion import Engaged, digest, grants_of_engagements
from services.notify.directory.vault import PersonKey, vault
from services.notify.tables import engagement, holding, person

_KINDS = {"mobile": "phone", "mail": "email", "wechat": "openid"}


async def store_person(work: UnitOfWork, *, event: PersonChanged) -> None:
    """The archive's snapshot replaces what the archive said before, and nothing that others said."""
    key = await key_for(work, person_id=event.person_id, language=event.language)
    await work.db.execute(
        update(person)
        .where(person.c.person_id == event.person_id)
        .values(language=event.language, name_cipher=key.seal(event.name, field="name"))
    )
    for kind, field in _KINDS.items():
        value = getattr(event, field)
        if value is None:
            await contacts.withdraw(work, person_id=event.person_id, kind=kind, source="archive")
        else:
            await contacts.say(work, key, kind=kind, value=value, source="archive", by="archive")
    work.arrived("person", event.person_id)


async def change_engagements(work: UnitOfWork, *, event: PersonChanged) -> None:
    """The archive's engagements anew. One that was ended here stays ended: access does not come back by a snapshot."""
    e = engagement.c
    ended = select(engagement).where(e.person_id == event.person_id, e.source == "archive", e.ended_at.is_not(None))
    kept = {r.engagement_id: r for r in await work.db.execute(ended)}
    await work.db.execute(delete(engagement).where(e.person_id == event.person_id, e.source == "archive"))
    rows = [
        {
            "person_id": event.person_id, "engagement_id": said.engagement_id, "customer_id": said.customer_id,
            "account_ids": list(said.account_ids), "role": said.role, "valid_from": said.valid_from,
            "valid_to": said.valid_to, "source": "archive",
            "ended_at": kept[said.engagement_id].ended_at if said.engagement_id in kept else None,
            "ended_by": kept[said.engagement_id].ended_by if said.engagement_id in kept else None,
        }
        for said in event.engagements
    ]  # fmt: skip
    if rows:
        await work.db.execute(upsert(engagement).on_conflict_do_nothing(), rows)
    await publish_engagements(work, person_id=event.person_id, at_least=event.version)


async def publish_engagements(work: UnitOfWork, *, person_id: str, at_least: int = 1) -> None:
    """The person's grants anew, here and, if they changed, everywhere; drawn from all engagements, so by the worker."""
    own = (await work.db.execute(select(person).where(person.c.person_id == person_id).with_for_update())).one()
    held = [
        Engaged(
            engagement_id=r.engagement_id, customer_id=r.customer_id, role=r.role, valid_from=r.valid_from,
            valid_to=r.valid_to if r.ended_at is None or (r.valid_to and r.valid_to < r.ended_at) else r.ended_at,
        )
        for r in await work.db.execute(select(engagement).where(engagement.c.person_id == person_id))
    ]  # fmt: skip
    grants = grants_of_engagements(person_id, held)
    if own.grants_digest == digest(grants):
        return
    version = max(own.grants_version + 1, at_least)
    await work.db.execute(
        update(person)
        .where(person.c.person_id == person_id)
        .values(grants_version=version, grants_digest=digest(grants))
    )
    await replace_grants(work, origin=f"person:{person_id}", grants=grants_of(grants))
    work.emit(EngagementsChanged(person_id=person_id, version=version, grants=grants))


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
    key = await key_of(work, person_id=person_id)
    await contacts.say(work, key, kind="wechat", value=openid, source="person", by=work.actor.person_id)
    await work.audit(action="wechat-bound", object_type="person", object_id=person_id)


async def openid_of(work: UnitOfWork, *, person_id: str) -> str | None:
    """None when none is bound or the provider said that it cannot be used."""
    return await contacts.address_of(work, person_id=person_id, channel="wechat")


async def key_of(work: UnitOfWork, *, person_id: str) -> PersonKey:
    """Raises `NotFound` for an unknown person."""
    row = (await work.db.execute(select(person.c.wrapped_key).where(person.c.person_id == person_id))).scalar()
    if row is None:
        raise NotFound(what_zh="人员", what_en="person", field="person_id")
    return vault().unwrap(row, person_id=person_id)


async def key_for(work: UnitOfWork, *, person_id: str, language: str) -> PersonKey:
    """The person's key; the person is created if new."""
    fresh, wrapped = vault().new_key(person_id=person_id)
    values = {
        "person_id": person_id, "language": language, "wrapped_key": wrapped,
        "name_cipher": fresh.seal("", field="name"),
    }  # fmt: skip
    await work.db.execute(upsert(person).values(**values).on_conflict_do_nothing())
    row = (await work.db.execute(select(person).where(person.c.person_id == person_id).with_for_update())).one()
    return vault().unwrap(row.wrapped_key, person_id=person_id)
