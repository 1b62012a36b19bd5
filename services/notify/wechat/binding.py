"""From an invitation to a bound openid: the link names the person, the browser the login, WeChat the user.

An openid alone is no authority: only who holds the invitation binds, once, in the browser that opened it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update

from services.kernel.errors import Conflict, Forbidden, Problem
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork
from services.notify.adapters.wechat.errors import WechatError, WechatRefused
from services.notify.adapters.wechat.login import Identity, authorize_url
from services.notify.channel_settings import channel_settings
from services.notify.delivery.links import LIFETIME, opened_link, token_of
from services.notify.directory.persons import bind_wechat
from services.notify.settings import notify_settings
from services.notify.tables import contact, wechat_invitation, wechat_login
from services.notify.wechat import accounts, schemas, users

LOGIN_LIFE = timedelta(minutes=5)
COOKIE = "keyline_bind"
RETURN_PATH = "/notify/v1/wechat/bound"
Exchange = Callable[[str], Awaitable[Identity]]


class LinkInvalid(Problem):
    status = 410
    code = "invitation-invalid"

    def __init__(self) -> None:
        super().__init__(
            zh="邀请链接无效、已使用或已过期，请向客户经理索取新的链接。",
            en="This invitation is invalid, used or has ended; ask your account manager for a new one.",
            field="token",
        )


class LoginRefused(Forbidden):
    code = "wechat-login-refused"

    def __init__(self, *, field: str = "state") -> None:
        super().__init__(
            zh="本次登录无效：请在同一浏览器内重新打开邀请链接，并在 5 分钟内完成。",
            en="This login does not hold: open the invitation anew in one browser and finish within five minutes.",
            field=field,
        )


class SnapshotUser(Forbidden):
    code = "wechat-snapshot-user"

    def __init__(self) -> None:
        super().__init__(
            zh="当前为快照页，无法确认您的身份：请点击页面下方“使用完整服务”后重试。",
            en="This is a preview page and does not show who you are: tap 使用完整服务 and retry.",
            field="code",
        )


class Unreachable(Problem):
    status = 503
    code = "wechat-unreachable"

    def __init__(self) -> None:
        super().__init__(
            zh="暂时无法连接微信，请重新打开邀请链接。", en="WeChat cannot be reached; open the link again."
        )


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where the browser goes, and what it has to bring back."""

    address: str
    browser: str


@lru_cache(maxsize=1)
def _link_key() -> bytes:
    return hmac.digest(notify_settings().master_key_bytes(), b"keyline invitation", "sha256")


async def invite(work: UnitOfWork, *, person_id: str) -> schemas.Invitation:
    """A link for one person; the route has checked that the caller may reach them."""
    base = channel_settings().public_url.rstrip("/")
    if not base or not accounts.configured():
        raise Conflict(
            zh="尚未配置公众号或对外网址（KEYLINE_PUBLIC_URL），无法邀请绑定。",
            en="No Official Account or public address (KEYLINE_PUBLIC_URL) is configured.",
        )
    invitation_id = work.new_id("wechat-invitation")
    row = {"invitation_id": invitation_id, "person_id": person_id, "created_by": work.actor.person_id,
           "created_at": work.now}  # fmt: skip
    await work.db.execute(insert(wechat_invitation).values(**row))
    await work.audit(action="wechat-invited", object_type="person", object_id=person_id)
    token = token_of(invitation_id, key=_link_key(), now=work.now)
    return schemas.Invitation(link=f"{base}/notify/v1/wechat/bind/{token}", expires_at=work.now + LIFETIME)


async def open_login(database: Database, *, token: str) -> Login:
    """Raises `LinkInvalid`."""
    invitation_id = opened_link(token, key=_link_key(), now=database.clock.now())
    if invitation_id is None:
        raise LinkInvalid
    state, browser = secrets.token_hex(24), secrets.token_urlsafe(24)
    async with _work(database, f"begin|{_hash(state).hex()}") as work:
        await _open_invitation(work, invitation_id)
        row = {"state_hash": _hash(state), "invitation_id": invitation_id, "browser_hash": _hash(browser),
               "expires_at": work.now + LOGIN_LIFE}  # fmt: skip
        await work.db.execute(insert(wechat_login).values(**row))
    settings = notify_settings()
    address = authorize_url(
        base_url=settings.wechat_login_url, app_id=settings.wechat_app_id, state=state,
        redirect_uri=channel_settings().public_url.rstrip("/") + RETURN_PATH,
    )  # fmt: skip
    return Login(address=address, browser=browser)


async def finish(database: Database, *, state: str, browser: str, code: str, exchange: Exchange) -> None:
    """Bind whom WeChat names to the invited person.

    The state is used up first, in a transaction of its own: whatever happens then, it does not work again.
    Raises `LoginRefused`, `SnapshotUser`, `LinkInvalid`, `Conflict`.
    """
    login = await _use_up(database, state=state, browser=browser)
    try:
        identity = await exchange(code)
    except WechatRefused:
        raise LoginRefused(field="code") from None
    except WechatError:
        raise Unreachable from None
    if identity.snapshot:
        raise SnapshotUser
    async with _work(database, f"finish|{_hash(state).hex()}") as work:
        invitation = await _open_invitation(work, login.invitation_id)
        await _require_unbound(work, openid=identity.openid, person_id=invitation.person_id)
        await users.meet(work, openid=identity.openid)
        await bind_wechat(work, person_id=invitation.person_id, openid=identity.openid)
        mine = wechat_invitation.c.invitation_id == invitation.invitation_id
        await work.db.execute(update(wechat_invitation).where(mine).values(used_at=work.now))


async def _use_up(database: Database, *, state: str, browser: str) -> Row[Any]:
    async with _work(database, f"use|{_hash(state).hex()}") as work:
        mine = wechat_login.c.state_hash == _hash(state)
        row = (await work.db.execute(select(wechat_login).where(mine).with_for_update())).first()
        if row is None or row.used_at is not None or row.expires_at <= work.now:
            raise LoginRefused
        if not hmac.compare_digest(row.browser_hash, _hash(browser)):
            raise LoginRefused
        await work.db.execute(update(wechat_login).where(mine).values(used_at=work.now))
        return row


async def _open_invitation(work: UnitOfWork, invitation_id: UUID) -> Row[Any]:
    query = select(wechat_invitation).where(wechat_invitation.c.invitation_id == invitation_id)
    row = (await work.db.execute(query.with_for_update())).first()
    if row is None or row.used_at is not None or row.created_at + LIFETIME <= work.now:
        raise LinkInvalid
    return row


async def _require_unbound(work: UnitOfWork, *, openid: str, person_id: str) -> None:
    c = contact.c
    other = select(c.person_id).where(
        c.kind == "wechat", c.blind_index == users.index_of(openid), c.person_id != person_id
    )
    if (await work.db.execute(other.limit(1))).first() is not None:
        raise Conflict(
            zh="该微信已绑定其他联系人；如需更换，请先由原联系人解除绑定。",
            en="This WeChat user is bound to somebody else; they have to give it up first.",
            field="code",
        )


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "replace")).digest()


def _work(database: Database, cause_id: str) -> AbstractAsyncContextManager[UnitOfWork]:
    cause = Cause(id=cause_id, source="wechat", type="binding")
    return database.work(role="api", cause=cause, actor=Actor(person_id="system:wechat", role="system"),
                         scope=EVERYTHING)  # fmt: skip
