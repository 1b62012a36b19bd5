"""Sending through one Official Account: template, subscribe and custom messages under a shared stable token.

No retries here but one: a rejected token is replaced once and the call repeated once. All other waiting is durable
and belongs to the caller, who finds in the error's `action` and `ambiguous` what to do.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

from services.notify.adapters.wechat.errors import (
    Action,
    ErrorClass,
    TokenRejected,
    WechatError,
    WechatRefused,
    WechatUnreachable,
    refusal,
)
from services.notify.adapters.wechat.login import Identity, read_identity
from services.notify.adapters.wechat.media import MOST_MEDIA_BYTES, Media, MediaRefused, checked
from services.notify.adapters.wechat.messages import CustomMessage, SubscribeMessage, TemplateMessage
from services.notify.adapters.wechat.tokens import FetchedToken, StoredToken, TokenStore
from services.notify.adapters.wechat.transport import AnswerTooLong, Transport

Answer = TypeVar("Answer")
_REFRESH_MARGIN = timedelta(seconds=240)
"""Less than the five minutes in which WeChat gives out the next token while the old one still works."""
_REFRESH_GAP_S = 10.0
_REJECTION_PAUSE_S = 30.0
"""After a fresh token was rejected too: no further fetch for so long, or wrong credentials eat the day's quota."""
_FETCH_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    app_id: str
    app_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """`msgid` returns in the receipt; subscribe and custom messages have none. `duplicate`: accepted before."""

    msgid: int | None
    duplicate: bool = False


class WechatClient:
    """Used as an async context manager. `tokens` is shared by all replicas that send for `account`."""

    def __init__(
        self,
        *,
        account: Account,
        tokens: TokenStore,
        transport: Transport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._account = account
        self._tokens = tokens
        self._transport = transport or Transport()
        self._now = now
        self._no_early_refresh_before = 0.0
        self._no_replacement_before = 0.0
        self._no_fetch_before = 0.0
        self._last_fetch_error: WechatError | None = None

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def send_template(self, *, message: TemplateMessage) -> Accepted:
        """Raises `WechatError`. After an ambiguous one, repeating within ten minutes shows no second message."""
        return await self._send("/cgi-bin/message/template/send", message.body())

    async def send_subscribe(self, *, message: SubscribeMessage) -> Accepted:
        """Raises `WechatError`. Has no client_msg_id: repeating after an ambiguous error may show it twice."""
        return await self._send("/cgi-bin/message/subscribe/bizsend", message.body())

    async def send_custom(self, *, message: CustomMessage) -> Accepted:
        """Raises `WechatError`; `WindowClosed` when the person's window or count is used up."""
        return await self._send("/cgi-bin/message/custom/send", message.body())

    async def template_ids(self) -> frozenset[str]:
        """Templates of the account; one that is gone here cannot be sent any more. Raises `WechatError`."""
        answer = await self._authorised("/cgi-bin/template/get_all_private_template", None)
        return frozenset(str(entry["template_id"]) for entry in answer.get("template_list", []))

    async def identity(self, *, code: str) -> Identity:
        """Who came back from the login page with `code`, which works once. Raises `WechatError`."""
        query = {"appid": self._account.app_id, "secret": self._account.app_secret, "code": code}
        query["grant_type"] = "authorization_code"
        return read_identity(await self._transport.call(path="/sns/oauth2/access_token", query=query))

    async def page_ticket(self) -> FetchedToken:
        """A fresh jsapi_ticket; keep it for all replicas, WeChat counts the calls. Raises `WechatError`."""
        asked_at = self._now()
        answer = await self._authorised("/cgi-bin/ticket/getticket", None, type="jsapi")
        try:
            return FetchedToken(str(answer["ticket"]), asked_at + timedelta(seconds=int(answer["expires_in"])))
        except (KeyError, ValueError, TypeError):
            raise WechatUnreachable(reason="getticket: unreadable answer", ambiguous=False) from None

    async def media(self, *, media_id: str) -> Media:
        """Raises `MediaRefused` for what is not to be kept, else `WechatError`."""
        path = "/cgi-bin/media/get"
        try:
            content = await self._with_token(
                lambda token: self._transport.fetch(
                    path=path, query={"access_token": token, "media_id": media_id}, most_bytes=MOST_MEDIA_BYTES
                )
            )
        except AnswerTooLong:
            raise MediaRefused("over 10 MiB") from None
        return checked(content)

    async def _send(self, path: str, body: Mapping[str, object]) -> Accepted:
        try:
            answer = await self._authorised(path, body)
        except WechatRefused as refused:
            if refused.action is Action.ALREADY_ACCEPTED:
                return Accepted(None, duplicate=True)
            raise
        msgid = answer.get("msgid")
        return Accepted(msgid if isinstance(msgid, int) else None)

    async def _authorised(self, path: str, body: Mapping[str, object] | None, **query: str) -> dict[str, Any]:
        return await self._with_token(
            lambda token: self._transport.call(path=path, query={"access_token": token} | query, body=body)
        )

    async def _with_token(self, call: Callable[[str], Awaitable[Answer]]) -> Answer:
        token = await self._token()
        try:
            return await call(token.value)
        except TokenRejected:
            fresh = await self._replacement(token)
            if fresh is None:
                raise
        try:
            return await call(fresh.value)
        except TokenRejected:
            self._no_replacement_before = time.monotonic() + _REJECTION_PAUSE_S
            raise

    async def _token(self) -> StoredToken:
        token = await self._tokens.get()
        now = self._now()
        if token is None or token.expires_at <= now:
            return await self._tokens.refresh(stale_version=token.version if token else 0, fetch=self._fetch)
        if token.expires_at - now > _REFRESH_MARGIN or time.monotonic() < self._no_early_refresh_before:
            return token
        self._no_early_refresh_before = time.monotonic() + _REFRESH_GAP_S
        try:
            return await self._tokens.refresh(stale_version=token.version, fetch=self._fetch)
        except WechatError:
            return token  # it still works; the next attempt comes soon

    async def _replacement(self, rejected: StoredToken) -> StoredToken | None:
        """Another token than the rejected one, fetched unless a replica was faster; None while fetching is paused."""
        if time.monotonic() < self._no_replacement_before:
            current = await self._tokens.get()
            return current if current is not None and current.version != rejected.version else None
        return await self._tokens.refresh(stale_version=rejected.version, fetch=self._fetch)

    async def _fetch(self) -> FetchedToken:
        if self._last_fetch_error is not None and time.monotonic() < self._no_fetch_before:
            # Everyone who waited for the lock meanwhile gets the same answer at once.
            raise _again(self._last_fetch_error)
        try:
            return await self._ask_for_token()
        except WechatError as error:
            lasting = error.error_class is not ErrorClass.TRANSIENT
            self._no_fetch_before = time.monotonic() + (_REJECTION_PAUSE_S if lasting else _FETCH_PAUSE_S)
            self._last_fetch_error = error
            raise

    async def _ask_for_token(self) -> FetchedToken:
        body = {
            "grant_type": "client_credential",
            "appid": self._account.app_id,
            "secret": self._account.app_secret,
            "force_refresh": False,
        }
        asked_at = self._now()
        try:
            answer = await self._transport.call(path="/cgi-bin/stable_token", body=body)
            lifetime = timedelta(seconds=int(answer["expires_in"]))
            return FetchedToken(str(answer["access_token"]), asked_at + lifetime)
        except WechatUnreachable as error:
            # Only the token is missing: the message itself was certainly not sent.
            raise WechatUnreachable(reason=f"stable_token: {error.reason}", ambiguous=False) from None
        except (KeyError, ValueError, TypeError):
            raise WechatUnreachable(reason="stable_token: unreadable answer", ambiguous=False) from None


def _again(error: WechatError) -> WechatError:
    if isinstance(error, WechatRefused):
        return refusal(errcode=error.errcode, errmsg=error.errmsg, rid=error.rid)
    return WechatUnreachable(reason=str(error), ambiguous=False)
