"""Signatures for the JS-SDK on our own pages, under one ticket that all replicas share."""

import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from services.kernel.errors import InvalidInput
from services.kernel.work import Database, UnitOfWork
from services.notify.adapters.wechat.crypto import ForeignPage, page_signature
from services.notify.channel_settings import channel_settings
from services.notify.settings import notify_settings
from services.notify.wechat import accounts, schemas
from services.notify.wechat.tokens import DatabaseTokenStore

_MARGIN = timedelta(minutes=5)


async def sign(database: Database, work: UnitOfWork, *, url: str) -> schemas.PageSignature:
    """Raises `InvalidInput` for a page that is not ours: whoever signs any page signs for everybody."""
    settings = notify_settings()
    own = {urlsplit(channel_settings().public_url).hostname, *settings.wechat_page_hosts}
    hosts = frozenset(host for host in own if host)
    nonce, stamp = secrets.token_hex(8), int(work.now.timestamp())
    if urlsplit(url).hostname not in hosts:
        raise _foreign()
    ticket = await _ticket(database, work)
    try:
        signature = page_signature(ticket=ticket, nonce=nonce, timestamp=stamp, url=url, own_hosts=hosts)
    except ForeignPage:
        raise _foreign() from None
    return schemas.PageSignature(app_id=settings.wechat_app_id, timestamp=stamp, nonce=nonce, signature=signature)


async def _ticket(database: Database, work: UnitOfWork) -> str:
    store = DatabaseTokenStore(database=database, app_id=notify_settings().wechat_app_id, kind="page", role="api")
    known = await store.get()
    if known is not None and known.expires_at - work.now > _MARGIN:
        return known.value
    async with accounts.account_of(database, role="api") as client:
        fresh = await store.refresh(stale_version=known.version if known else 0, fetch=client.page_ticket)
    return fresh.value


def _foreign() -> InvalidInput:
    return InvalidInput(
        zh="只为本站页面签名，请使用已配置域名下的网址。", en="Only pages of our own hosts are signed.",
        field="url",
    )  # fmt: skip
