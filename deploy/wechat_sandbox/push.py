"""What the platform pushes to the account's server: signed, in three modes and two formats, up to three attempts."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp

from deploy.wechat_sandbox.behaviour import Behaviour
from deploy.wechat_sandbox.clock import VirtualClock
from deploy.wechat_sandbox.settings import Settings
from services.notify.adapters.wechat.crypto import Envelope, EnvelopeKey, push_signature

Tamper = Literal["signature", "msg_signature", "appid", "last_key", "old_timestamp", "replay"]
_PARALLEL = 32
_REMEMBERED = 10_000


class Pusher:
    """Used as an async context manager; outstanding pushes are dropped at the end."""

    def __init__(self, *, settings: Settings, behaviour: Behaviour, clock: VirtualClock, rng: Random) -> None:
        self._settings = settings
        self._behaviour = behaviour
        self._clock = clock
        self._rng = rng
        key = EnvelopeKey.parse(encoding_aes_key=settings.aes_key)
        last = settings.last_aes_key
        self._last_key = EnvelopeKey.parse(encoding_aes_key=last) if last else None
        self._envelope = Envelope(settings.app_id, key)
        self._foreign = Envelope("wx0000000000000000", key)
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_sent: tuple[str, bytes] | None = None
        self.log: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    async def __aenter__(self) -> "Pusher":
        # Pushes go to this machine only, where nobody vouches for a certificate.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_PARALLEL, ssl=False))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    @property
    def outstanding(self) -> int:
        return len(self._tasks)

    def start(self, *, fields: Mapping[str, object], at_s: float | None = None, tamper: Tamper | None = None) -> None:
        """Pushes in the background, not before `at_s` of the virtual clock."""
        task = asyncio.create_task(self._later(fields, at_s, tamper))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, fields: Mapping[str, object], at_s: float | None, tamper: Tamper | None) -> None:
        if at_s is not None:
            await self._clock.sleep_until(at_s=at_s)
        await self.deliver(fields=fields, tamper=tamper)

    async def deliver(self, *, fields: Mapping[str, object], tamper: Tamper | None = None) -> None:
        """All attempts of one push; the outcome is in `log`."""
        entry: dict[str, Any] = {"fields": dict(fields), "tamper": tamper, "attempts": []}
        self.log.append(entry)
        url = self._behaviour.callback_url
        if url is None:
            entry["attempts"].append("no callback_url")
            return
        query, body = self._last_sent if tamper == "replay" and self._last_sent else self._compose(fields, tamper)
        self._last_sent = (query, body)
        for number in range(self._behaviour.push_attempts):
            if number:
                await asyncio.sleep(self._behaviour.push_retry_gap_s)
            async with self._slots:
                outcome = await self._attempt(f"{url}?{query}", body)
            entry["attempts"].append(outcome)
            if outcome == "answered":
                return

    async def check_address(self) -> bool:
        """What saving the callback address in the console does: a signed GET that has to return its echostr."""
        url, echo = self._behaviour.callback_url, str(self._rng.randrange(10**17, 10**18))
        if url is None:
            return False
        stamp, nonce = self._stamp(), str(self._rng.randrange(10**8, 10**10))
        signature = push_signature(token=self._settings.token, timestamp=stamp, nonce=nonce)
        query = urlencode({"signature": signature, "timestamp": stamp, "nonce": nonce, "echostr": echo})
        timeout = aiohttp.ClientTimeout(total=self._behaviour.push_timeout_s)
        try:
            async with self._session.get(f"{url}?{query}", timeout=timeout) as response:
                return response.status == 200 and await response.text() == echo
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _stamp(self, *, ago_s: int = 0) -> str:
        seconds = time.time() if self._behaviour.push_time == "wall" else self._clock.seconds()
        return str(int(seconds) - ago_s)

    async def _attempt(self, url: str, body: bytes) -> str:
        timeout = aiohttp.ClientTimeout(total=self._behaviour.push_timeout_s)
        headers = {"Content-Type": "text/xml" if body.startswith(b"<") else "application/json"}
        try:
            async with self._session.post(url, data=body, timeout=timeout, headers=headers) as response:
                answer = await response.read()
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError) as error:
            return type(error).__name__
        if response.status != 200:
            return f"HTTP {response.status}"
        good = answer in (b"", b"success") or answer.lstrip().startswith(b"<xml>")
        return "answered" if good else "malformed answer: the person sees 该公众号暂时无法提供服务"

    def _compose(self, fields: Mapping[str, object], tamper: Tamper | None) -> tuple[str, bytes]:
        behaviour, token = self._behaviour, self._settings.token
        stamp = self._stamp(ago_s=86_400 if tamper == "old_timestamp" else 0)
        nonce = str(self._rng.randrange(10**8, 10**10))
        signature = push_signature(token=token, timestamp=stamp, nonce=nonce)
        query = {"signature": signature, "timestamp": stamp, "nonce": nonce, "openid": str(fields["FromUserName"])}
        if tamper == "signature":
            query["signature"] = signature[::-1]
        if behaviour.push_mode == "plain":
            return urlencode(query), _render(fields, behaviour.push_format)
        envelope = self._foreign if tamper == "appid" else self._envelope
        key = self._last_key if tamper == "last_key" else None
        encrypted = envelope.seal(message=_render(fields, behaviour.push_format), key=key)
        query["encrypt_type"] = "aes"
        sealed = push_signature(token=token, timestamp=stamp, nonce=nonce, encrypted=encrypted)
        query["msg_signature"] = sealed[::-1] if tamper == "msg_signature" else sealed
        outer = dict(fields) if behaviour.push_mode == "compatible" else {"ToUserName": fields["ToUserName"]}
        return urlencode(query), _render(outer | {"Encrypt": encrypted}, behaviour.push_format)


def _render(fields: Mapping[str, object], format_: str) -> bytes:
    if format_ == "json":
        return json.dumps(fields, ensure_ascii=False).encode()
    return f"<xml>{_xml(fields)}</xml>".encode()


def _xml(fields: Mapping[str, object]) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(_element(name, entry) for entry in value)
    if isinstance(value, Mapping):
        return f"<{name}>{_xml(value)}</{name}>"
    if isinstance(value, int | float):
        return f"<{name}>{value}</{name}>"
    text = str(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{text}]]></{name}>"
