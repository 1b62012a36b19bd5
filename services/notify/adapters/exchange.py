"""One bounded HTTP call to a provider, honest about what may have happened when no answer came."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from services.notify.adapters.port import ChannelError
from services.notify.rules.retries import FailureKind

MOST_ANSWER_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_base(url: str) -> str:
    """Raises ValueError for anything but https; http is for this machine only."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"{url}：除本机外须用 https。 Use https, except on this machine.")
    return url.rstrip("/")


def new_session(*, width: int, seconds: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=width),
        timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=3),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def call(
    session: aiohttp.ClientSession, method: str, url: str | URL, *, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, bytes]:
    """Status and body. Raises `ChannelError`; never with an address or a secret in its reason."""
    try:
        async with session.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
            answer = await read_capped(response)
            return response.status, answer
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT, ambiguous=True) from None


async def read_capped(response: aiohttp.ClientResponse) -> bytes:
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > MOST_ANSWER_BYTES:
            raise ChannelError("answer too long", kind=FailureKind.TRANSIENT, ambiguous=True)
    return bytes(answer)


def read_object(answer: bytes) -> dict[str, Any]:
    """Raises an ambiguous `ChannelError`: the provider may have accepted what it answers so strangely."""
    try:
        fields = json.loads(answer)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ChannelError("answer is no JSON object", kind=FailureKind.TRANSIENT, ambiguous=True)
    return fields
