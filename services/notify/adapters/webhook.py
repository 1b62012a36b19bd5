"""Standard Webhooks to customers' own systems: signed with every live secret, kept out of our own network."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp

from services.notify.adapters.exchange import read_capped
from services.notify.adapters.port import Accepted, ChannelError, Outgoing
from services.notify.adapters.ssrf import Lookup, PinnedResolver, RefusedAddress, check
from services.notify.rules.retries import FailureKind

SECONDS = 3.0
_GONE = 410


def signatures(*, secrets: list[str], message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,<base64>` for each secret, the newest first: the receiver accepts any one of them."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode() for secret in secrets
    )


class Webhook:
    """The receiver recognises a repetition by `webhook-id`. A 2xx answer is the receipt."""

    name = "webhook"
    dedupe = timedelta(days=1)
    shared = False

    def __init__(self, *, now: Callable[[], datetime], loopback: bool = False, lookup: Lookup | None = None) -> None:
        self._now = now
        self._loopback = loopback
        self._lookup = lookup

    async def send(self, message: Outgoing) -> Accepted:
        target = json.loads(message.address)
        body = body_of(message)
        stamp = str(int(self._now().timestamp()))
        headers = {
            "Content-Type": "application/json", "User-Agent": "Keyline", "webhook-id": message.message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signatures(
                secrets=target["secrets"], message_id=message.message_id, timestamp=stamp, body=body
            ),
        }  # fmt: skip
        status = await self._post(target["url"], headers, body)
        if 200 <= status < 300:
            return Accepted(reference=None, delivered=True)
        if status == _GONE:
            raise ChannelError("HTTP 410", kind=FailureKind.RECIPIENT)
        if status in (408, 429) or status >= 500:
            raise ChannelError(f"HTTP {status}", kind=FailureKind.TRANSIENT)
        raise ChannelError(f"HTTP {status}", kind=FailureKind.CONTENT)  # redirects too: they are not followed

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        try:
            async with asyncio.timeout(SECONDS):
                pinned = await check(url, lookup=self._lookup, loopback=self._loopback)
                connector = aiohttp.TCPConnector(resolver=PinnedResolver(pinned), use_dns_cache=False, limit=1)
                timeout = aiohttp.ClientTimeout(total=SECONDS)
                async with (
                    aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
                    session.post(pinned.url, data=body, headers=headers, allow_redirects=False) as answer,
                ):
                    await read_capped(answer)
                    return answer.status
        except RefusedAddress as refused:
            raise ChannelError(f"address refused: {refused}", kind=FailureKind.RECIPIENT) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT, ambiguous=True) from None


def body_of(message: Outgoing) -> bytes:
    """The same bytes for every attempt."""
    said = {
        "type": f"keyline.{message.event_class}", "timestamp": message.created_at.isoformat(),
        "data": {
            "delivery_id": str(message.delivery_id), "subject_id": message.subject_id,
            "account_ids": list(message.account_ids), "title": message.title, "body": message.body,
            "facts": dict(message.facts),
        },
    }  # fmt: skip
    return json.dumps(said, ensure_ascii=False, sort_keys=True).encode()


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))
