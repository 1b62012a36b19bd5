"""The inner zone's signed calls of the edge's one port, and the account as it is reached through them."""

import base64
import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import aiohttp

from services.notify.adapters.wechat.client import Accepted
from services.notify.adapters.wechat.errors import WechatError, WechatUnreachable, refusal
from services.notify.adapters.wechat.login import Identity
from services.notify.adapters.wechat.media import Media, MediaRefused, checked
from services.notify.adapters.wechat.messages import CustomMessage
from services.notify.adapters.wechat.tokens import FetchedToken
from services.notify.edge.seal import HEADER, SealRefused, Verifier, sealed
from services.notify.edge.settings import EdgeSettings

_CALL_S, _FILE_S = 12.0, 30.0


class EdgeUnreachable(Exception):
    """No genuine answer came. `ambiguous`: the edge may have acted."""

    def __init__(self, reason: str, *, ambiguous: bool) -> None:
        super().__init__(reason)
        self.ambiguous = ambiguous


class EdgeCalls:
    """Signed calls of the one port. Used as an async context manager."""

    def __init__(self, *, settings: EdgeSettings) -> None:
        self._url = settings.url.rstrip("/")
        self._keys = settings.zone_keys()
        self._verifier = Verifier(keys=self._keys)
        self._tls = ssl.create_default_context(cafile=None if settings.authority is None else str(settings.authority))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._tls, limit=80))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, path: str, said: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Raises `EdgeUnreachable`."""
        raw = json.dumps(said, ensure_ascii=False).encode()
        seal = sealed(self._keys, purpose=path, body=raw)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=3)
        try:
            async with self._session.post(
                self._url + path, data=raw, headers={HEADER: seal}, timeout=timeout
            ) as response:
                answer, status = await response.read(), response.status
                answered = response.headers.get(HEADER, "")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise EdgeUnreachable(type(error).__name__, ambiguous=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EdgeUnreachable(type(error).__name__, ambiguous=True) from None
        if status != 200:
            raise EdgeUnreachable(f"HTTP {status}", ambiguous=status >= 500)
        try:
            self._verifier.check(answered, purpose=seal, body=answer)
        except SealRefused as refused:
            raise EdgeUnreachable(f"answer refused: {refused}", ambiguous=True) from None
        found: dict[str, Any] = json.loads(answer)
        return found


class EdgeAccount:
    """What needs WeChat beside sending, done by the edge, which alone holds the secret and the tokens.

    Used as an async context manager, in place of `WechatClient`.
    """

    def __init__(self, *, settings: EdgeSettings) -> None:
        self._calls = EdgeCalls(settings=settings)

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._calls.__aexit__()

    async def identity(self, *, code: str) -> Identity:
        found = await self._ask({"do": "identity", "code": code})
        return Identity(found["openid"], snapshot=found["snapshot"])

    async def page_ticket(self) -> FetchedToken:
        found = await self._ask({"do": "ticket"})
        return FetchedToken(found["ticket"], datetime.fromisoformat(found["expires_at"]))

    async def send_custom(self, *, message: CustomMessage) -> Accepted:
        await self._ask({"do": "custom", "openid": message.openid, "type": message.msg_type,
                         "content": dict(message.content)})  # fmt: skip
        return Accepted(None)

    async def media(self, *, media_id: str) -> Media:
        found = await self._ask({"do": "media", "media_id": media_id}, seconds=_FILE_S)
        if "refused" in found:
            raise MediaRefused(found["refused"])
        return checked(base64.b64decode(found["content"]))

    async def _ask(self, said: Mapping[str, Any], *, seconds: float = _CALL_S) -> dict[str, Any]:
        """Raises `WechatError`, as the client does that stands beside WeChat."""
        try:
            found = await self._calls.call("/edge/account", said, seconds=seconds)
        except EdgeUnreachable as error:
            raise WechatUnreachable(reason=f"edge: {error}", ambiguous=error.ambiguous) from None
        if "errcode" in found:
            raise error_in(found)
        return found


def error_in(found: Mapping[str, Any]) -> WechatError:
    """What WeChat answered to the edge, or that it did not."""
    if found["errcode"] is None:
        return WechatUnreachable(reason=found["words"], ambiguous=found["ambiguous"])
    return refusal(errcode=found["errcode"], errmsg=found["words"])
