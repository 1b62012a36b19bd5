"""The ledger of consents to subscribe messages: one accepted click is one message."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.adapters.wechat.callbacks import Callback
from services.notify.adapters.wechat.events import subscription_entries
from services.notify.tables import wechat_consent

_ASKED = "subscribe_msg_popup_event"
_CHANGED = "subscribe_msg_change_event"
_SENT = "subscribe_msg_sent_event"
EVENTS = frozenset({_ASKED, _CHANGED, _SENT})
_REFUSED = "43101"


async def note(work: UnitOfWork, callback: Callback, *, index: bytes) -> None:
    for entry in subscription_entries(callback=callback):
        if callback.event == _SENT:
            await _spent(work, index, entry.template_id, refused=entry.error_code == _REFUSED)
        else:
            accepted = entry.choice == "accept"
            await _said(work, index, entry.template_id, accepted=accepted, asked=callback.event == _ASKED)


async def _said(work: UnitOfWork, index: bytes, template_id: str, *, accepted: bool, asked: bool) -> None:
    """Only a click in the dialogue gives a message; a change in the settings can take the consent back."""
    left = wechat_consent.c.left
    first = 1 if accepted and asked else 0
    values = {"choice": "accept" if accepted else "reject", "said_at": work.now}
    statement = upsert(wechat_consent).values(openid_index=index, template_id=template_id, left=first, **values)
    now_left = left + first if accepted else 0
    again = statement.on_conflict_do_update(
        index_elements=["openid_index", "template_id"], set_={**values, "left": now_left}
    )
    await work.db.execute(again)


async def _spent(work: UnitOfWork, index: bytes, template_id: str, *, refused: bool) -> None:
    c = wechat_consent.c
    left = 0 if refused else func.greatest(c.left - 1, 0)
    where = (c.openid_index == index, c.template_id == template_id)
    await work.db.execute(wechat_consent.update().where(*where).values(left=left))
