"""The open windows of a person, as rows: what a message, a tap or a scan still allows us to answer."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.rules.windows import Deed, Window, opened_by, usable
from services.notify.tables import wechat_window

_w = wechat_window.c


async def open_window(work: UnitOfWork, *, index: bytes, deed: Deed) -> None:
    window = opened_by(deed, at=work.now)
    values = {"left": window.left, "closes_at": window.closes_at}
    statement = upsert(wechat_window).values(openid_index=index, deed=deed.value, **values)
    await work.db.execute(statement.on_conflict_do_update(index_elements=["openid_index", "deed"], set_=values))


async def windows_of(work: UnitOfWork, *, index: bytes) -> Sequence[Window]:
    """Those still open, also with nothing left in them."""
    query = select(wechat_window).where(_w.openid_index == index, _w.closes_at > work.now).order_by(_w.closes_at)
    return [Window(deed=Deed(r.deed), left=r.left, closes_at=r.closes_at) for r in await work.db.execute(query)]


async def take_one(work: UnitOfWork, *, index: bytes) -> bool:
    """Use one message of the window that closes first; False when none may be sent. The user's row is locked."""
    window = usable(await windows_of(work, index=index), now=work.now)
    if window is None:
        return False
    where = (_w.openid_index == index, _w.deed == window.deed.value)
    await work.db.execute(update(wechat_window).where(*where).values(left=_w.left - 1))
    return True


async def close_all(work: UnitOfWork, *, index: bytes) -> None:
    """WeChat counts otherwise than we do, and it decides."""
    await work.db.execute(delete(wechat_window).where(_w.openid_index == index))
