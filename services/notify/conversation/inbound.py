"""What people write to the Official Account, put into their customer's thread; a tap on our menu is their rating."""

import json
from functools import lru_cache
from importlib.resources import files

from sqlalchemy import exists, or_, select

from services.kernel.errors import Conflict, NotFound
from services.kernel.work import UnitOfWork
from services.notify.adapters.wechat.callbacks import Callback, read_callback
from services.notify.conversation import receipt, threads
from services.notify.conversation.menus import read_choice
from services.notify.directory import contacts
from services.notify.directory.vault import vault
from services.notify.rules.topics import topic_of
from services.notify.tables import account, conversation, conversation_message, customer, engagement, wechat_push
from services.notify.wechat import replies, users

_KINDS = {"image": "photo", "voice": "voice"}
_WHICH = {
    "zh": "您服务多家用电户，请回复序号，我们将转给对应的客户经理：\n{lines}",
    "en": "You work for several customers. Please answer with a number, so that the right manager gets it:\n{lines}",
}
_c = conversation.c


async def hear(work: UnitOfWork, callback: Callback, *, push_index: bytes, openid_index: bytes) -> None:
    """Silent for who is bound to nobody, and for staff: only the customer's people start conversations."""
    person_id = await contacts.person_with(work, kind="wechat", value=callback.openid)
    if person_id is None or await _rated(work, callback.text("bizmsgmenuid"), person_id):
        return
    customers = await _customers(work, person_id)
    if not customers:
        return
    said = words_of(callback)
    if (chosen := _chosen(said, customers)) is not None and len(customers) > 1:
        earlier = await _unplaced(work, openid_index, but=push_index)
        if earlier is not None:
            await _store(work, earlier[1], push_index=earlier[0], person_id=person_id, customer_id=chosen)
            return
    customer_id = await _meant(work, said, customers=customers, person_id=person_id)
    if customer_id is None:
        await _ask_which(work, customers, person_id=person_id)
        return
    await _store(work, callback, push_index=push_index, person_id=person_id, customer_id=customer_id)


def words_of(callback: Callback) -> str:
    names = ("Content", "Recognition", "Label", "Title")
    return next((text for name in names if (text := callback.text(name))), "")


async def _store(work: UnitOfWork, callback: Callback, *, push_index: bytes, person_id: str, customer_id: str) -> None:
    said, media_id = words_of(callback), callback.text("MediaId")
    await threads.hear(
        work, customer_id=customer_id, topic=await _topic(work, said, customer_id=customer_id, person_id=person_id),
        person_id=person_id, channel="wechat", kind=_KINDS.get(callback.msg_type, "text"), said=said,
        push_index=push_index,
        media_index=vault().blind_index(kind="wechat-media", value=media_id) if media_id else None,
    )  # fmt: skip


async def _topic(work: UnitOfWork, said: str, *, customer_id: str, person_id: str) -> str:
    """By its words; else the thread the person is in; else other."""
    named = topic_of(said, words=_topics())
    if named is not None:
        return named
    query = select(_c.topic).where(_c.customer_id == customer_id, _c.person_id == person_id, _c.state == "open")
    newest = query.order_by(_c.waiting_since.desc().nulls_last(), _c.opened_at.desc()).limit(1)
    return str((await work.db.execute(newest)).scalar() or "other")


async def _meant(work: UnitOfWork, said: str, *, customers: dict[str, str], person_id: str) -> str | None:
    """The only one; else the one whose name or account stands in the words; else the one talked with now."""
    if len(customers) == 1:
        return next(iter(customers))
    a = account.c
    accounts = await work.db.execute(select(a.account_id, a.customer_id).where(a.customer_id.in_(sorted(customers))))
    names = [*((name, c) for c, name in customers.items()), *((r.account_id, r.customer_id) for r in accounts)]
    named: set[str] = {customer_id for name, customer_id in names if name and name in said}
    if len(named) == 1:
        return named.pop()
    query = select(_c.customer_id).where(
        _c.customer_id.in_(sorted(customers)), _c.person_id == person_id, _c.state == "open"
    )
    talked = sorted(set((await work.db.execute(query)).scalars()))
    return str(talked[0]) if len(talked) == 1 else None


async def _ask_which(work: UnitOfWork, customers: dict[str, str], *, person_id: str) -> None:
    lines = "\n".join(f"{n}. {name}" for n, name in enumerate(customers.values(), 1))
    language = await receipt.language_of(work, person_id=person_id)
    try:
        await replies.write(work, person_id=person_id, text=_WHICH[language].format(lines=lines[:1500]))
    except replies.WindowShut:
        return  # asked before in this window and out of messages: staff see the push beside the person


def _chosen(said: str, customers: dict[str, str]) -> str | None:
    number = said.strip().rstrip(".。")
    ids = list(customers)
    return ids[int(number) - 1] if number.isascii() and number.isdigit() and 1 <= int(number) <= len(ids) else None


async def _unplaced(work: UnitOfWork, openid_index: bytes, *, but: bytes) -> tuple[bytes, Callback] | None:
    """The person's last message, if no thread has it yet: what the number was asked for."""
    p, m = wechat_push.c, conversation_message.c
    query = select(wechat_push).where(p.openid_index == openid_index, p.event == "", p.push_index != but)
    row = (await work.db.execute(query.order_by(p.received_at.desc()).limit(1))).first()
    if row is None or row.fields_cipher is None:
        return None
    placed = select(exists().where(m.push_index == row.push_index))
    found = await users.known(work, index=openid_index)
    if found is None or (await work.db.execute(placed)).scalar_one():
        return None
    fields = json.loads(found[1].open(row.fields_cipher, field="push"))
    return row.push_index, read_callback(fields=fields)


async def _customers(work: UnitOfWork, person_id: str) -> dict[str, str]:
    """Customer -> name, of those the person works for now, in a fixed order."""
    e = engagement.c
    query = (
        select(customer.c.customer_id, customer.c.name)
        .join_from(customer, engagement, e.customer_id == customer.c.customer_id)
        .where(
            e.person_id == person_id, e.valid_from <= work.now, e.ended_at.is_(None),
            or_(e.valid_to.is_(None), e.valid_to > work.now),
        )
        .distinct().order_by(customer.c.customer_id)
    )  # fmt: skip
    return {row.customer_id: row.name for row in await work.db.execute(query)}


async def _rated(work: UnitOfWork, choice: str, person_id: str) -> bool:
    """Whether it was a tap on our menu; one that comes late or twice changes nothing."""
    read = read_choice(choice)
    if read is None:
        return False
    conversation_id, satisfied = read
    try:
        row = await threads.locked(work, conversation_id=conversation_id)
        if row.person_id == person_id:
            await threads.rate(work, conversation_id=conversation_id, satisfied=satisfied)
    except (Conflict, NotFound):
        return True
    return True


@lru_cache(maxsize=1)
def _topics() -> dict[str, list[str]]:
    read = json.loads(files("services.notify").joinpath("data/conversation_topics.json").read_text("utf-8"))
    words: dict[str, list[str]] = read["words"]
    return words
