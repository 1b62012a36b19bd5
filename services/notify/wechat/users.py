"""People as the Official Account knows them, bound to a person or not; forgetting one destroys their key."""

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.directory import contacts
from services.notify.directory.vault import PersonKey, vault
from services.notify.tables import contact, wechat_push, wechat_user


def index_of(openid: str) -> bytes:
    return vault().blind_index(kind="wechat", value=openid)


async def meet(work: UnitOfWork, *, openid: str) -> PersonKey:
    """The key of this user, who is created if new. Locks the row until the end of the transaction."""
    index = index_of(openid)
    fresh, wrapped = vault().new_key(person_id=_holder(index))
    values = {
        "openid_index": index, "wrapped_key": wrapped, "openid_cipher": fresh.seal(openid, field="openid"),
        "following": True, "seen_at": work.now,
    }  # fmt: skip
    known = upsert(wechat_user).values(**values)
    known = known.on_conflict_do_update(index_elements=["openid_index"], set_={"seen_at": work.now})
    row = (await work.db.execute(known.returning(wechat_user.c.wrapped_key))).one()
    return vault().unwrap(row.wrapped_key, person_id=_holder(index))


async def known(work: UnitOfWork, *, index: bytes) -> tuple[Row[tuple[object, ...]], PersonKey] | None:
    """The locked row and its key; None for who never wrote or was forgotten."""
    query = select(wechat_user).where(wechat_user.c.openid_index == index).with_for_update()
    row = (await work.db.execute(query)).first()
    return None if row is None else (row, vault().unwrap(row.wrapped_key, person_id=_holder(index)))


async def set_following(work: UnitOfWork, *, openid: str) -> None:
    where = wechat_user.c.openid_index == index_of(openid)
    await work.db.execute(update(wechat_user).where(where).values(following=True))
    await contacts.mark_usable(work, kind="wechat", value=openid)


async def forget(work: UnitOfWork, *, openid: str) -> None:
    """Erase what came from WeChat: words, media, consents, windows, the openid itself; the person stays a contact.

    Proofs of delivery name the person only. The pushes' indexes stay, so that a late repetition is still recognised.
    """
    index = index_of(openid)
    bound = contact.c.kind == "wechat", contact.c.blind_index == index
    people = sorted((await work.db.execute(select(contact.c.person_id).where(*bound).distinct())).scalars())
    await work.db.execute(delete(contact).where(*bound))
    for person_id in people:
        await contacts.settle(work, person_id=person_id, kind="wechat")
        await work.audit(action="wechat-forgotten", object_type="person", object_id=person_id)
    pushes = update(wechat_push).where(wechat_push.c.openid_index == index)
    await work.db.execute(pushes.values(fields_cipher=None, problem=None))
    await work.db.execute(delete(wechat_user).where(wechat_user.c.openid_index == index))


def _holder(index: bytes) -> str:
    return f"wechat|{index.hex()}"
