"""A push is stored before it is answered and handled after: WeChat waits five seconds, our work may take longer."""

import json
import logging
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork
from services.notify.adapters.wechat.callbacks import Callback, read_callback
from services.notify.adapters.wechat.events import job_finished
from services.notify.conversation import inbound
from services.notify.delivery import outcomes
from services.notify.directory import confirmation
from services.notify.directory.vault import PersonKey, vault
from services.notify.rules.windows import deed_of
from services.notify.tables import wechat_push
from services.notify.wechat import consents, media, users, windows

log = logging.getLogger(__name__)
_p = wechat_push.c
MOST_ATTEMPTS = 10
_FORGET = frozenset({"unsubscribe", "user_authorization_revoke", "user_info_modified"})
_PASSING = _FORGET | {"TEMPLATESENDJOBFINISH"}
"""These do not make anybody known who was not, or who has just asked to be forgotten."""
_ACTOR = Actor(person_id="system:wechat", role="system")


async def store(database: Database, callback: Callback) -> bytes | None:
    """The push's index once it is durable; None if it came before, under the same key."""
    index = vault().blind_index(kind="wechat-push", value=callback.dedupe_key)
    async with database.work(role="api", cause=_cause(index), actor=_ACTOR, scope=EVERYTHING) as work:
        known = select(_p.push_index).where(_p.push_index == index)
        if (await work.db.execute(known)).first() is not None:
            return None
        passing = callback.event in _PASSING
        key = vault().house_key() if passing else await users.meet(work, openid=callback.openid)
        fields = json.dumps(callback.fields, ensure_ascii=False)
        row = {
            "push_index": index, "openid_index": users.index_of(callback.openid), "msg_type": callback.msg_type[:20],
            "event": callback.event[:60], "fields_cipher": key.seal(fields, field="push"), "received_at": work.now,
        }  # fmt: skip
        stored = upsert(wechat_push).values(**row).on_conflict_do_nothing().returning(_p.push_index)
        first = (await work.db.execute(stored)).scalar()
        return None if first is None else bytes(first)


async def handle(database: Database, index: bytes) -> None:
    """Do what the push asks for, once; what fails is tried again by the desk and in the end shown as a problem."""
    try:
        async with database.work(role="api", cause=_cause(index), actor=_ACTOR, scope=EVERYTHING) as work:
            query = select(wechat_push).where(_p.push_index == index, _p.handled_at.is_(None))
            row = (await work.db.execute(query.with_for_update(skip_locked=True))).first()
            if row is None:
                return
            key = await _key_of(work, row)
            await _done(work, row)
            if key is not None and row.fields_cipher is not None:
                callback = read_callback(fields=json.loads(key.open(row.fields_cipher, field="push")))
                await _apply(work, callback, row.openid_index, push_index=index)
    except Exception as error:
        log.exception("push not handled")
        await _note_failure(database, index, type(error).__name__)


async def open_pushes(work: UnitOfWork, *, limit: int = 100) -> list[bytes]:
    query = select(_p.push_index).where(_p.handled_at.is_(None), _p.attempts < MOST_ATTEMPTS)
    return list((await work.db.execute(query.order_by(_p.received_at).limit(limit))).scalars())


async def _apply(work: UnitOfWork, callback: Callback, index: bytes, *, push_index: bytes) -> None:
    if callback.event in _FORGET:
        # The revoking person is named inside; both are the sender in every case seen.
        await users.forget(work, openid=callback.text("OpenID") or callback.openid)
        return
    if callback.event == "TEMPLATESENDJOBFINISH":
        finished = job_finished(callback=callback)
        await outcomes.receipt(
            work, message_id=str(finished.msgid), status=finished.status, openid=callback.openid
        )  # fmt: skip
        return
    if callback.event == "CLICK" and callback.text("EventKey") == confirmation.MENU_KEY:
        await confirmation.confirm_by_openid(work, openid=callback.openid)
    if callback.event in consents.EVENTS:
        await consents.note(work, callback, index=index)
    if callback.event == "subscribe" or not callback.event:
        await users.set_following(work, openid=callback.openid)
    deed = deed_of(msg_type=callback.msg_type, event=callback.event)
    if deed is not None:
        await windows.open_window(work, index=index, deed=deed)
    if callback.text("MediaId"):
        await media.want(work, callback, index=index)
    if not callback.event:
        await inbound.hear(work, callback, push_index=push_index, openid_index=index)


async def _key_of(work: UnitOfWork, row: Row[Any]) -> PersonKey | None:
    """None for a user who was forgotten meanwhile."""
    if row.event in _PASSING:
        return vault().house_key()
    found = await users.known(work, index=row.openid_index)
    return None if found is None else found[1]


async def _done(work: UnitOfWork, row: Row[Any]) -> None:
    """Of what is no message nothing is kept but that it came."""
    done = update(wechat_push).where(_p.push_index == row.push_index)
    kept = {} if not row.event else {"fields_cipher": None}
    await work.db.execute(done.values(handled_at=work.now, problem=None, **kept))


async def _note_failure(database: Database, index: bytes, problem: str) -> None:
    async with database.work(role="api", cause=_cause(index), actor=_ACTOR, scope=EVERYTHING) as work:
        failed = update(wechat_push).where(_p.push_index == index)
        await work.db.execute(failed.values(attempts=_p.attempts + 1, problem=problem[:200]))


def _cause(index: bytes) -> Cause:
    # Never the key itself: it holds an openid, and causes are kept with the audit.
    return Cause(id=index.hex(), source="wechat", type="push")
