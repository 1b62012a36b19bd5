"""All that is read of conversations: by staff, and by the customer's people without what is internal."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify.conversation import schemas, words
from services.notify.directory.persons import openid_of
from services.notify.tables import conversation, conversation_message
from services.notify.wechat import users, windows
from services.notify.wechat.schemas import Said

MOST_MESSAGES = 500
OURS = ("answer", "receipt", "rating")
_c, _m = conversation.c, conversation_message.c


async def threads(
    work: UnitOfWork, *, state: schemas.State | None, waiting: bool, limit: int
) -> list[schemas.ThreadOfStaff]:
    """Those in the caller's scope; what waits longest first, then the newest."""
    query = _within(work, state)
    if waiting:
        query = query.where(_c.waiting_since.is_not(None))
    ordered = query.order_by(_c.due_at.asc().nulls_last(), _c.opened_at.desc(), _c.conversation_id).limit(limit)
    return [schemas.ThreadOfStaff(**_internal(work, row)) for row in await work.db.execute(ordered)]


async def own_threads(work: UnitOfWork, *, state: schemas.State | None, limit: int) -> list[schemas.Thread]:
    query = _within(work, state).order_by(_c.opened_at.desc(), _c.conversation_id).limit(limit)
    return [schemas.Thread(**_shown(row)) for row in await work.db.execute(query)]


async def read(work: UnitOfWork, *, conversation_id: UUID) -> schemas.ReadByStaff:
    """Raises `NotFound`. Noted in the audit: who read what a customer wrote."""
    row = await _row(work, conversation_id)
    said = await _said(work, conversation_id)
    texts = await words.opened(work, said)
    messages = [
        schemas.MessageOfStaff(**_message(m, texts[m.message_id]), author_id=m.author_id, channel=m.channel)
        for m in said
    ]
    await work.audit(
        action="conversation-read", object_type="conversation", object_id=str(conversation_id),
        owner_id=row.customer_id,
    )  # fmt: skip
    return schemas.ReadByStaff(
        **_internal(work, row), wechat=await _room(work, row.person_id), attached=row.attached, messages=messages
    )


async def own_read(work: UnitOfWork, *, conversation_id: UUID) -> schemas.Read:
    """Raises `NotFound`."""
    row = await _row(work, conversation_id)
    said = await _said(work, conversation_id)
    texts = await words.opened(work, said)
    messages = [schemas.Message(**_message(m, texts[m.message_id])) for m in said]
    return schemas.Read(**_shown(row), messages=messages)


async def talks_with(work: UnitOfWork, *, person_id: str, limit: int) -> list[Said]:
    """All that was said with this person, newest first, for the copy of their data; `by` is empty for their own."""
    query = select(conversation_message).where(_m.person_id == person_id, visible(_m.customer_id, work=work))
    rows = (await work.db.execute(query.order_by(_m.said_at.desc(), _m.message_id).limit(limit))).all()
    texts = await words.opened(work, rows)
    return [
        Said(by="" if r.author_id == person_id else r.author_id, at=r.said_at, kind=r.kind, text=texts[r.message_id])
        for r in rows
    ]


async def photo(work: UnitOfWork, *, conversation_id: UUID, message_id: UUID) -> bytes:
    """A JPEG. Raises `NotFound`, also while WeChat's copy has not been fetched yet."""
    query = select(conversation_message).where(
        _m.conversation_id == conversation_id, _m.message_id == message_id, visible(_m.customer_id, work=work)
    )
    row = (await work.db.execute(query)).first()
    picture = None if row is None else await words.picture_of(work, row)
    if picture is None:
        raise NotFound(what_zh="照片", what_en="photo", field="message_id")
    return picture


async def _room(work: UnitOfWork, person_id: str) -> schemas.Room:
    openid = await openid_of(work, person_id=person_id)
    found = [] if openid is None else await windows.windows_of(work, index=users.index_of(openid))
    return schemas.Room(
        left=sum(w.left for w in found), closes_at=max((w.closes_at for w in found if w.left), default=None)
    )


def _within(work: UnitOfWork, state: schemas.State | None) -> Select[Any]:
    query = select(conversation).where(visible(_c.customer_id, work=work))
    return query if state is None else query.where(_c.state == state)


async def _row(work: UnitOfWork, conversation_id: UUID) -> Any:
    query = select(conversation).where(_c.conversation_id == conversation_id, visible(_c.customer_id, work=work))
    row = (await work.db.execute(query)).first()
    if row is None:
        raise NotFound(what_zh="会话", what_en="conversation", field="conversation_id")
    return row


async def _said(work: UnitOfWork, conversation_id: UUID) -> list[Any]:
    """The newest, oldest of them first."""
    query = select(conversation_message).where(
        _m.conversation_id == conversation_id, visible(_m.customer_id, work=work)
    )
    # A receipt is written in the instant of its question and stands after it.
    order = (_m.said_at.desc(), _m.kind.in_(OURS).desc(), _m.message_id)
    newest = (await work.db.execute(query.order_by(*order).limit(MOST_MESSAGES))).all()
    return list(reversed(newest))


def _shown(row: Any) -> dict[str, Any]:
    kept = ("conversation_id", "customer_id", "topic", "state", "opened_at", "ticket_id", "closed_at", "outcome")
    return {name: row._mapping[name] for name in kept} | {"waits_until": row.due_at}


def _internal(work: UnitOfWork, row: Any) -> dict[str, Any]:
    kept = ("person_id", "owner_id", "asked_ids", "level", "waiting_since", "first_answered_at")
    late = row.due_at is not None and row.due_at < work.now
    return {**_shown(row), **{name: row._mapping[name] for name in kept}, "overdue": late}


def _message(row: Any, text: str) -> dict[str, Any]:
    return {
        "message_id": row.message_id, "kind": row.kind, "by_customer": row.kind not in OURS, "at": row.said_at,
        "text": text, "has_photo": row.content_cipher is not None or row.kind == "photo",
    }  # fmt: skip
