"""What was said, sealed under the key of the customer's person: their erasure makes both sides unreadable."""

import base64
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from services.kernel.work import UnitOfWork
from services.notify.directory.vault import PersonKey, vault
from services.notify.tables import conversation_message, person, wechat_media, wechat_user
from services.notify.wechat import users

HOUSE = "house"
"""Whose key seals what names no person: the evidence of a dispute by somebody whom the directory does not hold."""
_m = conversation_message.c


async def write(
    work: UnitOfWork, *, conversation_id: UUID, customer_id: str, person_id: str, purpose: str, words: str = "",
    picture: bytes | None = None, **values: Any,
) -> UUID:  # fmt: skip
    """Store one message under the person's key. Repeated for the same push it changes nothing."""
    keys = await _keys(work, [person_id])
    sealed_for = person_id if person_id in keys else HOUSE
    key = keys.get(person_id, vault().house_key())
    message_id = work.new_id(f"message|{purpose}")
    row = {
        "message_id": message_id, "conversation_id": conversation_id, "customer_id": customer_id,
        "person_id": sealed_for, "said_at": work.now, "text_cipher": key.seal(words, field="message"), **values,
    }  # fmt: skip
    if picture is not None:
        row["content_cipher"] = key.seal(base64.b64encode(picture).decode(), field="picture")
    await work.db.execute(insert(conversation_message).values(**row))
    return message_id


async def opened(work: UnitOfWork, rows: Iterable[Any]) -> dict[UUID, str]:
    """Message -> its words; empty where the person was erased."""
    found = list(rows)
    keys = await _keys(work, {r.person_id for r in found})
    return {r.message_id: _open(r, keys) for r in found}


def _open(row: Any, keys: dict[str, PersonKey]) -> str:
    key = keys.get(row.person_id)
    return "" if row.text_cipher is None or key is None else key.open(row.text_cipher, field="message")


async def picture_of(work: UnitOfWork, row: Any) -> bytes | None:
    """The photo of a message; None while it is not fetched yet, and for ever once its sender is forgotten."""
    if row.content_cipher is not None:
        key = (await _keys(work, [row.person_id])).get(row.person_id)
        return None if key is None else base64.b64decode(key.open(row.content_cipher, field="picture"))
    if row.media_index is None:
        return None
    m = wechat_media.c
    query = select(m.openid_index, m.content_type, m.content_cipher).where(m.media_index == row.media_index)
    kept = (await work.db.execute(query.join(wechat_user))).first()
    if kept is None or kept.content_cipher is None or kept.content_type != "image/jpeg":
        return None
    known = await users.known(work, index=kept.openid_index)
    return None if known is None else base64.b64decode(known[1].open(kept.content_cipher, field="media"))


async def _keys(work: UnitOfWork, people: Iterable[str]) -> dict[str, PersonKey]:
    p = person.c
    query = select(p.person_id, p.wrapped_key).where(p.person_id.in_(sorted(set(people))))
    keys = {r.person_id: vault().unwrap(r.wrapped_key, person_id=r.person_id) for r in await work.db.execute(query)}
    return keys | {HOUSE: vault().house_key()}


async def name_of(work: UnitOfWork, *, person_id: str | None) -> str:
    """Empty for somebody whose name the directory does not hold."""
    query = select(person.c.wrapped_key, person.c.name_cipher).where(person.c.person_id == person_id)
    row = (await work.db.execute(query)).first()
    if row is None or person_id is None:
        return ""
    return vault().unwrap(row.wrapped_key, person_id=person_id).open(row.name_cipher, field="name")
