"""Answers of staff to a person inside a window: written as rows, sent by the desk, never sent twice."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, update

from services.kernel.errors import Conflict, InvalidInput
from services.kernel.work import UnitOfWork
from services.notify.adapters.wechat.errors import WechatError, WindowClosed
from services.notify.adapters.wechat.messages import MAX_TEXT_BYTES
from services.notify.directory.persons import openid_of
from services.notify.tables import contact, wechat_push, wechat_reply
from services.notify.wechat import schemas, users, windows

_r = wechat_reply.c
_LEASE = timedelta(seconds=30)


class WindowShut(Conflict):
    code = "wechat-window-shut"

    def __init__(self) -> None:
        super().__init__(
            zh="对方 48 小时内未发言或可回复条数已用完：请改用模板消息或短信，待对方发言后再回复。",
            en="The person has not written within 48 hours or the count is used up: send a template message or a text"
            " message, or wait until they write.",
            field="text",
        )


@dataclass(frozen=True, kw_only=True)
class DueReply:
    reply_id: UUID
    openid: str = field(repr=False)
    text: str = field(repr=False)


async def write(work: UnitOfWork, *, person_id: str, text: str) -> schemas.WrittenReply:
    """Raises `WindowShut` unless a window is open with something left."""
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise InvalidInput(
            zh=f"超过 {MAX_TEXT_BYTES} 字节，请分开发送。", en=f"Over {MAX_TEXT_BYTES} bytes; send it in parts.",
            field="text",
        )  # fmt: skip
    openid = await openid_of(work, person_id=person_id)
    found = None if openid is None else await users.known(work, index=users.index_of(openid))
    if found is None or openid is None or not await windows.take_one(work, index=users.index_of(openid)):
        raise WindowShut
    reply_id = work.new_id("wechat-reply")
    await work.db.execute(
        insert(wechat_reply).values(
            reply_id=reply_id, openid_index=users.index_of(openid), text_cipher=found[1].seal(text, field="reply"),
            written_by=work.actor.person_id, written_at=work.now, state="pending",
        )
    )  # fmt: skip
    await work.audit(action="wechat-replied", object_type="person", object_id=person_id)
    return schemas.WrittenReply(reply_id=reply_id, window=await shown(work, index=users.index_of(openid)))


async def shown(work: UnitOfWork, *, index: bytes) -> list[schemas.Window]:
    return [
        schemas.Window(deed=w.deed.value, left=w.left, closes_at=w.closes_at)
        for w in await windows.windows_of(work, index=index)
    ]


async def conversation(work: UnitOfWork, *, person_id: str, limit: int) -> schemas.Conversation:
    """What was said on both sides, newest first, and what may still be sent."""
    openid = await openid_of(work, person_id=person_id)
    found = None if openid is None else await users.known(work, index=users.index_of(openid))
    if openid is None or found is None:
        bound = await _bound(work, person_id)
        return schemas.Conversation(bound=bound, following=False, windows=[], messages=[])
    row, key = found
    index, p = users.index_of(openid), wechat_push.c
    heard = select(wechat_push).where(p.openid_index == index, p.event == "", p.fields_cipher.is_not(None))
    said = select(wechat_reply).where(_r.openid_index == index)
    messages = [
        schemas.heard(key.open(r.fields_cipher, field="push"), msg_type=r.msg_type, at=r.received_at)
        for r in await work.db.execute(heard.order_by(p.received_at.desc()).limit(limit))
    ]
    messages += [
        schemas.Said(by=r.written_by, at=r.written_at, kind="text", state=r.state, reason=r.reason,
                     text=key.open(r.text_cipher, field="reply"))
        for r in await work.db.execute(said.order_by(_r.written_at.desc()).limit(limit))
    ]  # fmt: skip
    newest = sorted(messages, key=lambda m: m.at, reverse=True)[:limit]
    following: Any = row._mapping["following"]
    return schemas.Conversation(
        bound=True, following=bool(following), windows=await shown(work, index=index), messages=newest
    )


async def claim_due(work: UnitOfWork, *, limit: int = 20) -> list[DueReply]:
    """Marks what goes out now. What was under way when its sender died may be out: it is not sent again."""
    late = (_r.state == "sending", _r.sent_at < work.now - _LEASE)
    lost = update(wechat_reply).where(*late).values(state="unknown", reason="its sender died")
    await work.db.execute(lost)
    query = select(wechat_reply).where(_r.state == "pending").order_by(_r.written_at).limit(limit)
    rows = list(await work.db.execute(query.with_for_update(skip_locked=True)))
    found = []
    for row in rows:
        known = await users.known(work, index=row.openid_index)
        if known is not None:
            user, key = known
            openid = key.open(user._mapping["openid_cipher"], field="openid")
            text = key.open(row.text_cipher, field="reply")
            found.append(DueReply(reply_id=row.reply_id, openid=openid, text=text))
    claimed = update(wechat_reply).where(_r.reply_id.in_([f.reply_id for f in found]))
    await work.db.execute(claimed.values(state="sending", sent_at=work.now))
    return found


async def record(work: UnitOfWork, *, reply_id: UUID, error: WechatError | None) -> None:
    """A refusal for want of a window closes all that we still believed open."""
    mine = update(wechat_reply).where(_r.reply_id == reply_id, or_(_r.state == "sending", _r.state == "unknown"))
    state = "sent" if error is None else "unknown" if error.ambiguous else "failed"
    await work.db.execute(mine.values(state=state, reason=None if error is None else str(error)[:200]))
    if isinstance(error, WindowClosed):
        index = (await work.db.execute(select(_r.openid_index).where(_r.reply_id == reply_id))).scalar()
        if index is not None:
            await windows.close_all(work, index=index)


async def _bound(work: UnitOfWork, person_id: str) -> bool:
    query = select(contact.c.person_id).where(contact.c.person_id == person_id, contact.c.kind == "wechat")
    return (await work.db.execute(query.limit(1))).first() is not None
