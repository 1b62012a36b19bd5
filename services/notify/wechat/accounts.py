"""The account of this installation: its client over the tokens that all replicas share, or the edge in its place."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.kernel.settings import DatabaseRole
from services.kernel.work import Database
from services.notify.adapters.wechat.client import Accepted, Account, WechatClient
from services.notify.adapters.wechat.login import Identity
from services.notify.adapters.wechat.media import Media
from services.notify.adapters.wechat.messages import CustomMessage
from services.notify.adapters.wechat.tokens import FetchedToken
from services.notify.adapters.wechat.transport import Transport, TransportLimits
from services.notify.edge.calls import EdgeAccount
from services.notify.edge.settings import edge_settings
from services.notify.settings import notify_settings
from services.notify.wechat.tokens import DatabaseTokenStore


class AccountCalls(Protocol):
    """What is done with the account beside sending template messages; each raises `WechatError`."""

    async def identity(self, *, code: str) -> Identity: ...

    async def page_ticket(self) -> FetchedToken: ...

    async def send_custom(self, *, message: CustomMessage) -> Accepted: ...

    async def media(self, *, media_id: str) -> Media: ...


def configured() -> bool:
    return bool(edge_settings().url or notify_settings().wechat_base_url)


def account_of(database: Database, *, role: DatabaseRole) -> AbstractAsyncContextManager[AccountCalls]:
    """Behind an outer zone the edge acts, and no token or secret is here."""
    if edge_settings().url:
        return EdgeAccount(settings=edge_settings())
    return client_of(database, role=role)


def client_of(database: Database, *, role: DatabaseRole, limits: TransportLimits | None = None) -> WechatClient:
    """To be entered with `async with`."""
    settings = notify_settings()
    account = Account(app_id=settings.wechat_app_id, app_secret=settings.wechat_secret())
    tokens = DatabaseTokenStore(database=database, app_id=account.app_id, role=role)
    return WechatClient(
        account=account, tokens=tokens, transport=Transport(base_url=settings.wechat_base_url, limits=limits)
    )
