"""WeCom (企业微信) application messages to members of staff."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp

from services.notify.adapters.exchange import call, check_base, read_object
from services.notify.adapters.port import Accepted, ChannelError, Outgoing
from services.notify.adapters.wechat.messages import split_text
from services.notify.rules.retries import FailureKind

DUPLICATE_CHECK_S = 1800
_MOST_TEXT_BYTES = 2048
_TOKEN_CODES = frozenset({40001, 40014, 42001})
_MARGIN = timedelta(seconds=300)
_K = FailureKind
_KINDS = {
    -1: _K.TRANSIENT, 45009: _K.MINUTE_QUOTA, 45033: _K.TRANSIENT, 81013: _K.RECIPIENT, 60111: _K.RECIPIENT,
    60103: _K.RECIPIENT, 40058: _K.CONTENT, 44004: _K.CONTENT, 45002: _K.CONTENT,
}  # fmt: skip


class Wecom:
    """The same text to the same member within half an hour is shown once; the link in it is the same for a message."""

    name = "wecom"
    dedupe = timedelta(seconds=DUPLICATE_CHECK_S - 120)
    shared = True

    def __init__(
        self, *, session: aiohttp.ClientSession, base_url: str, corp_id: str, agent_id: int, secret: str,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._session = session
        self._base_url = check_base(base_url)
        self._corp_id = corp_id
        self._agent_id = agent_id
        self._secret = secret
        self._now = now
        self._token: tuple[str, datetime] | None = None
        self._lock = asyncio.Lock()

    async def send(self, message: Outgoing) -> Accepted:
        token = await self._valid_token()
        answer = await self._send(token, message)
        if answer.get("errcode") in _TOKEN_CODES:
            answer = await self._send(await self._valid_token(rejected=token), message)
        code = answer.get("errcode", 0)
        if code != 0:
            kind = _KINDS.get(code, _K.CONFIGURATION)
            raise ChannelError(f"wecom {code}", kind=kind, account_wide=kind is _K.CONFIGURATION)
        if message.address.lower() in str(answer.get("invaliduser", "")).lower().split("|"):
            raise ChannelError("wecom invaliduser", kind=_K.RECIPIENT)
        return Accepted(reference=str(answer.get("msgid") or "") or None)

    async def _send(self, token: str, message: Outgoing) -> dict[str, Any]:
        words = f"{message.title}\n{message.body}" + (f"\n{message.link}" if message.link else "")
        body = {
            "touser": message.address, "msgtype": "text", "agentid": self._agent_id,
            "text": {"content": next(split_text(text=words, max_bytes=_MOST_TEXT_BYTES))},
            "enable_duplicate_check": 1, "duplicate_check_interval": DUPLICATE_CHECK_S,
        }  # fmt: skip
        return await self._call("POST", "/cgi-bin/message/send", {"access_token": token}, body)

    async def _valid_token(self, *, rejected: str | None = None) -> str:
        async with self._lock:
            if self._token is not None and self._token[0] != rejected and self._now() < self._token[1]:
                return self._token[0]
            query = {"corpid": self._corp_id, "corpsecret": self._secret}
            try:
                answer = await self._call("GET", "/cgi-bin/gettoken", query, None)
            except ChannelError as error:
                raise ChannelError(f"gettoken: {error.reason}", kind=error.kind) from None
            if answer.get("errcode", 0) != 0 or not isinstance(answer.get("access_token"), str):
                raise ChannelError(f"gettoken {answer.get('errcode')}", kind=_K.CONFIGURATION, account_wide=True)
            ends = self._now() + timedelta(seconds=int(answer.get("expires_in", 7200))) - _MARGIN
            self._token = (answer["access_token"], ends)
            return self._token[0]

    async def _call(self, method: str, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        status, answer = await call(
            self._session, method, f"{self._base_url}{path}?{urlencode(query)}",
            headers={"Content-Type": "application/json; charset=utf-8"}, body=payload,
        )  # fmt: skip
        if status != 200:
            raise ChannelError(f"HTTP {status}", kind=_K.TRANSIENT, ambiguous=status >= 500)
        return read_object(answer)
