"""The first rung of an answer: WeChat's customer-service message, as long as the person's window and count allow it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select

from services.kernel.work import UnitOfWork
from services.notify.conversation import words
from services.notify.conversation.menus import choices_of
from services.notify.delivery.rows import Row
from services.notify.delivery.steps import fail
from services.notify.directory.persons import openid_of
from services.notify.tables import conversation_message
from services.notify.wechat import users, windows

CHAT = "chat"
SHUT = "window-shut"


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """The words themselves; `choices` (id -> label) make it a menu."""

    text: str = field(repr=False)
    choices: Mapping[str, str] = field(default_factory=dict)


async def sayable(work: UnitOfWork, rows: Sequence[Row], *, openids: Mapping[str, str]) -> dict[UUID, Spoken]:
    """What goes out now, one message of the window taken for each; the others are on their next channel already."""
    spoken = await _spoken(work, rows)
    for row in sorted(rows, key=lambda r: r["person_id"]):
        if row["delivery_id"] not in spoken:
            await fail(work, row, reason="words-erased")
        elif not row["attempts"] and not await _take_one(work, openids[row["person_id"]]):
            del spoken[row["delivery_id"]]
            await fail(work, row, reason=SHUT)
    return spoken


async def shut(work: UnitOfWork, *, person_id: str) -> None:
    """WeChat refused for want of a window: it counts otherwise than we do, and it decides."""
    openid = await openid_of(work, person_id=person_id)
    if openid is not None:
        await windows.close_all(work, index=users.index_of(openid))


async def _take_one(work: UnitOfWork, openid: str) -> bool:
    index = users.index_of(openid)
    return await users.known(work, index=index) is not None and await windows.take_one(work, index=index)


async def _spoken(work: UnitOfWork, rows: Sequence[Row]) -> dict[UUID, Spoken]:
    by_message = {UUID(r["facts"]["message_id"]): r for r in rows if "message_id" in r["facts"]}
    query = select(conversation_message).where(conversation_message.c.message_id.in_(sorted(by_message)))
    found = (await work.db.execute(query)).all()
    texts = await words.opened(work, found)
    said: dict[UUID, Spoken] = {}
    for message in found:
        row = by_message[message.message_id]
        if texts[message.message_id]:
            choices = choices_of(message, language=row["language"]) if message.kind == "rating" else {}
            said[row["delivery_id"]] = Spoken(text=texts[message.message_id], choices=choices)
    return said
