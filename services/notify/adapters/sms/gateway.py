"""The company's own message gateway: any system that takes a signed JSON call and answers in one of four ways.

`POST {url}` with `{id, to, text, template_id, fields, sent_at}`; the header `Keyline-Signature` holds
`v1=<hex HMAC-SHA256(secret, timestamp + "." + body)>`. The gateway takes the same `id` within ten minutes for the
same message. 2xx `{"id"}` accepts; 4xx `{"code": "recipient" | "content" | "limit"}` refuses; 5xx is tried again.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp

from services.notify.adapters.exchange import call, check_base, read_object
from services.notify.adapters.port import Accepted, ChannelError, Outgoing
from services.notify.rules.retries import FailureKind

_CODES = {
    "recipient": FailureKind.RECIPIENT, "content": FailureKind.CONTENT, "limit": FailureKind.FREQUENCY,
    "quota": FailureKind.DAY_QUOTA,
}  # fmt: skip


def sign(*, secret: str, timestamp: str, body: bytes) -> str:
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class SmsGateway:
    name = "gateway"
    dedupe = timedelta(minutes=8)
    shared = True

    def __init__(
        self, *, session: aiohttp.ClientSession, url: str, key_id: str, secret: str, now: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._url = check_base(url)
        self._key_id = key_id
        self._secret = secret
        self._now = now

    async def send(self, message: Outgoing) -> Accepted:
        body = json.dumps(
            {
                "id": message.delivery_id.hex, "to": message.address, "text": message.body,
                "template_id": message.template_id, "fields": dict(message.fields),
                "sent_at": message.sent_at.isoformat(),
            },
            ensure_ascii=False,
        ).encode()  # fmt: skip
        stamp = str(int(self._now().timestamp()))
        headers = {
            "Content-Type": "application/json; charset=utf-8", "Keyline-Key-Id": self._key_id,
            "Keyline-Timestamp": stamp,
            "Keyline-Signature": sign(secret=self._secret, timestamp=stamp, body=body),
        }  # fmt: skip
        status, answer = await call(self._session, "POST", self._url, headers=headers, body=body)
        if status >= 500:
            raise ChannelError(f"HTTP {status}", kind=FailureKind.TRANSIENT, ambiguous=True)
        if 200 <= status < 300:
            return Accepted(reference=str(read_object(answer).get("id") or "") or None)
        if status in (401, 403):
            raise ChannelError(f"HTTP {status}", kind=FailureKind.CONFIGURATION, account_wide=True)
        code = str(read_object(answer).get("code", "")) if answer else ""
        raise ChannelError(f"gateway {code or status}", kind=_CODES.get(code, FailureKind.CONTENT))
