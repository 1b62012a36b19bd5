"""The account of this installation: its client over the tokens that all replicas share."""

from services.kernel.settings import DatabaseRole
from services.kernel.work import Database
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.transport import Transport, TransportLimits
from services.notify.settings import notify_settings
from services.notify.wechat.tokens import DatabaseTokenStore


def configured() -> bool:
    return bool(notify_settings().wechat_base_url)


def client_of(database: Database, *, role: DatabaseRole, limits: TransportLimits | None = None) -> WechatClient:
    """To be entered with `async with`."""
    settings = notify_settings()
    account = Account(app_id=settings.wechat_app_id, app_secret=settings.wechat_secret())
    tokens = DatabaseTokenStore(database=database, app_id=account.app_id, role=role)
    return WechatClient(
        account=account, tokens=tokens, transport=Transport(base_url=settings.wechat_base_url, limits=limits)
    )
