"""One HTTP exchange with WeChat: bounded in time, connections and size, and honest about what may have happened."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from services.notify.adapters.origin import AnswerTooLarge, NoAnswer, NotSent, Origin, OriginLimits, head_of
from services.notify.adapters.wechat.errors import WechatUnreachable, refusal

OFFICIAL_BASE_URL = "https://api.weixin.qq.com"
_MAX_ANSWER_BYTES = 256 * 1024
_RID = re.compile(r"rid:\s*([0-9A-Za-z-]+)")
_CONTENT_TYPE = "application/json; charset=utf-8"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """Hundreds of parallel sends make WeChat answer -1, so `max_connections` stays modest on purpose."""

    max_connections: int = 32
    queue_timeout_s: float = 10.0
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 5.0
    total_timeout_s: float = 8.0


class Transport:
    """POST and GET of JSON; one pool per account. Used as an async context manager.

    POST is the hot path and has connections of its own; what is asked for now and then goes through aiohttp.
    """

    def __init__(self, *, base_url: str = OFFICIAL_BASE_URL, limits: TransportLimits | None = None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"{base_url}：除本机外须用 https。 Use https, except on this machine.")
        self._base_url = base_url.rstrip("/")
        self._limits = limits or TransportLimits()
        self._slots = asyncio.Semaphore(self._limits.max_connections)
        self._session: aiohttp.ClientSession | None = None
        self._origin: Origin | None = None
        self._last_head: tuple[tuple[str, Mapping[str, str]], bytes] | None = None

    async def __aenter__(self) -> Self:
        limits = self._limits
        self._origin = Origin(
            url=URL(self._base_url),
            limits=OriginLimits(
                connect_timeout_s=limits.connect_timeout_s, read_timeout_s=limits.read_timeout_s,
                total_timeout_s=limits.total_timeout_s,
            ),
        )  # fmt: skip
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits.max_connections),
            timeout=aiohttp.ClientTimeout(
                total=limits.total_timeout_s,
                connect=limits.connect_timeout_s,
                sock_connect=limits.connect_timeout_s,
                sock_read=limits.read_timeout_s,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._origin is not None:
            self._origin.close()
            self._origin = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self, *, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """The answer of a successful call: POST with a body, GET without.

        Raises `WechatRefused` (its subclass by class) or `WechatUnreachable`.
        """
        payload = None if body is None else _encode(body)
        return _read(await self._in_turn(path, query or {}, payload, _MAX_ANSWER_BYTES))

    async def fetch(self, *, path: str, query: Mapping[str, str], most_bytes: int) -> bytes:
        """The bytes of a file. An answer that is JSON instead is an error: raises as `call`."""
        content = await self._in_turn(path, query, None, most_bytes)
        if content[:1] == b"{":
            _read(content)
            raise WechatUnreachable(reason="an object instead of a file", ambiguous=False)
        return content

    async def _in_turn(self, path: str, query: Mapping[str, str], payload: bytes | None, most_bytes: int) -> bytes:
        if self._slots.locked():
            try:
                async with asyncio.timeout(self._limits.queue_timeout_s):
                    await self._slots.acquire()
            except TimeoutError:
                raise WechatUnreachable(reason="no free connection", ambiguous=False) from None
        else:
            await self._slots.acquire()
        try:
            if payload is None:
                return await self._get(path, query, most_bytes)
            return await self._post(path, query, payload, most_bytes)
        finally:
            self._slots.release()

    async def _post(self, path: str, query: Mapping[str, str], payload: bytes, most_bytes: int) -> bytes:
        if self._origin is None:
            raise RuntimeError("use the client inside `async with`")
        try:
            status, answer = await self._origin.post(head=self._head(path, query), body=payload, most_bytes=most_bytes)
        except NotSent as error:
            raise WechatUnreachable(reason=str(error), ambiguous=False) from None
        except AnswerTooLarge as error:
            raise AnswerTooLong(reason=str(error), ambiguous=True) from None
        except NoAnswer as error:
            raise WechatUnreachable(reason=str(error), ambiguous=True) from None
        return _of_status(status, answer)

    async def _get(self, path: str, query: Mapping[str, str], most_bytes: int) -> bytes:
        if self._session is None:
            raise RuntimeError("use the client inside `async with`")
        # `from None`: the library's messages hold the whole url and with it the access token.
        url = URL(self._base_url + path).with_query(query)
        headers = {"Content-Type": _CONTENT_TYPE}
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                answer = await _read_capped(response, most_bytes)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise WechatUnreachable(reason=type(error).__name__, ambiguous=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise WechatUnreachable(reason=type(error).__name__, ambiguous=True) from None
        return _of_status(response.status, answer)

    def _head(self, path: str, query: Mapping[str, str]) -> bytes:
        """One address serves all messages under a token: it is put together once, the last one is kept."""
        if self._last_head is None or self._last_head[0] != (path, query):
            url = URL(self._base_url + path).with_query(query)
            self._last_head = ((path, query), head_of(url, content_type=_CONTENT_TYPE))
        return self._last_head[1]


class AnswerTooLong(WechatUnreachable):
    """More bytes than the caller takes."""


async def _read_capped(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > most_bytes:
            raise AnswerTooLong(reason="answer too long", ambiguous=True)
    return bytes(answer)


def _of_status(status: int, answer: bytes) -> bytes:
    if status != 200:
        raise WechatUnreachable(reason=f"HTTP {status}", ambiguous=status >= 500)
    return answer


def _encode(body: Mapping[str, object]) -> bytes:
    # Chinese has to travel as UTF-8: an escaped \uXXXX is shown literally or refused with 40033.
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise refusal(errcode=40033, errmsg="text is not valid Unicode, not sent") from None


def _read(answer: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(answer)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise WechatUnreachable(reason="answer is no JSON object", ambiguous=True)
    errcode = fields.get("errcode", 0)
    if not isinstance(errcode, int):
        raise WechatUnreachable(reason="errcode is no number", ambiguous=True)
    if errcode != 0:
        errmsg = str(fields.get("errmsg", ""))
        found = _RID.search(errmsg)
        raise refusal(errcode=errcode, errmsg=errmsg, rid=found.group(1) if found else None)
    return fields
