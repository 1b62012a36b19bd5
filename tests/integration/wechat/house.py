"""The running sandbox as tests see it: a process, its admin addresses, and a server that takes its pushes."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from deploy.local.processes import Child, Command, free_port
from deploy.wechat_sandbox.settings import DEFAULT_AES_KEY, DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_TOKEN
from services.notify.adapters.wechat.callbacks import (
    Callback,
    CallbackRefused,
    CallbackSecurity,
    open_address_check,
    open_callback,
)
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.crypto import Envelope, EnvelopeKey
from services.notify.adapters.wechat.messages import SubscribeMessage, TemplateMessage
from services.notify.adapters.wechat.tokens import InMemoryTokenStore, TokenStore
from services.notify.adapters.wechat.transport import Transport, TransportLimits

PROJECT = Path(__file__).resolve().parents[3]
LAST_AES_KEY = "sandboxTheEncodingAesKeyBeforeTheLastChange"
ACCOUNT = Account(app_id=DEFAULT_APP_ID, app_secret=DEFAULT_APP_SECRET)
TEMPLATE = {
    "template_id": "FAULT_OUTAGE",
    "title": "故障停电通知",
    "fields": {"thing1": "客户名称", "character_string2": "户号", "time3": "停电时间"},
}
VALUES = {"thing1": "某精密制造公司", "character_string2": "5001002003", "time3": "2026年1月15日 10:00"}


@dataclass
class SandboxProcess:
    child: Child
    url: str
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def sandbox_process(*, folder: Path, options: Sequence[str] = ()) -> SandboxProcess:
    """Not started yet; starts, dies and restarts on the same port and log file."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = folder / "accepted.jsonl"
    argv = [sys.executable, "-m", "deploy.wechat_sandbox", "--port", str(port), "--log", str(log)]
    command = Command(
        name="wechat-sandbox",
        argv=[*argv, "--last-aes-key", LAST_AES_KEY, *options],
        log_path=folder / "sandbox.out",
        cwd=PROJECT,
        ready_url=f"{url}/sandbox/health",
        grace_s=5.0,
    )
    return SandboxProcess(Child(command), url, log)


@dataclass
class Sandbox:
    """Admin side of a running sandbox."""

    process: SandboxProcess
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: object = None, *, raw: bytes | None = None) -> Any:
        data = raw if raw is not None else None if body is None else json.dumps(body, ensure_ascii=False).encode()
        async with self.session.request(method, self.process.url + path, data=data) as response:
            assert response.headers["X-Sandbox"] == "1"
            text = await response.text()
            assert response.status < 500, text
            return json.loads(text) if text.startswith(("{", "[")) else text

    async def follow(self, openid: str, **more: object) -> str:
        await self.call("POST", "/sandbox/followers", {"followers": [{"openid": openid} | more]})
        return openid

    async def behave(self, **settings: object) -> None:
        answer = await self.call("POST", "/sandbox/behaviour", settings)
        assert "problems" not in answer, answer

    async def arm(self, kind: str, **more: object) -> None:
        answer = await self.call("POST", "/sandbox/faults", {"kind": kind} | more)
        assert "problems" not in answer, answer

    async def fault_hits(self) -> list[int]:
        return [fault["hits"] for fault in (await self.call("GET", "/sandbox/faults"))["faults"]]

    async def jump(self, seconds: float) -> None:
        await self.call("POST", "/sandbox/clock", {"jump_s": seconds})

    async def seen(self, openid: str, **filters: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in ({"openid": openid} | filters).items())
        messages: list[dict[str, Any]] = (await self.call("GET", f"/sandbox/messages?{query}"))["messages"]
        return messages

    async def deed(self, openid: str, deed: str, **more: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.call("POST", f"/sandbox/followers/{openid}/deeds", {"deed": deed} | more)
        return answer

    async def count(self, call: str) -> int:
        """How often an API was answered so, such as `stable_token 0`."""
        return int((await self.call("GET", "/sandbox/calls"))["calls"].get(call, 0))

    async def stable_token(self, *, force: bool = False) -> str:
        body = {"grant_type": "client_credential", "appid": ACCOUNT.app_id, "secret": ACCOUNT.app_secret}
        answer = await self.call("POST", "/cgi-bin/stable_token", body | {"force_refresh": force})
        assert 0 < answer["expires_in"] <= 7200
        return str(answer["access_token"])

    @asynccontextmanager
    async def client(
        self,
        *,
        tokens: TokenStore | None = None,
        account: Account = ACCOUNT,
        read_timeout_s: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> AsyncIterator[WechatClient]:
        limits = TransportLimits(read_timeout_s=read_timeout_s)
        transport = Transport(base_url=self.process.url, limits=limits)
        store = tokens or InMemoryTokenStore()
        async with WechatClient(account=account, tokens=store, transport=transport, now=now) as client:
            yield client


def template_message(openid: str, *, id_: str, **changes: str) -> TemplateMessage:
    values: Mapping[str, str] = VALUES | changes
    return TemplateMessage(openid=openid, template_id="FAULT_OUTAGE", values=values, client_msg_id=id_)


def subscribe_message(openid: str) -> SubscribeMessage:
    return SubscribeMessage(openid=openid, template_id="FAULT_OUTAGE", values=VALUES)


@dataclass
class Receiver:
    """Takes pushes as notify's edge does: checks, keeps, answers `success`."""

    url: str = ""
    security: CallbackSecurity = field(
        default_factory=lambda: CallbackSecurity(
            token=DEFAULT_TOKEN,
            envelope=Envelope(
                DEFAULT_APP_ID,
                EnvelopeKey.parse(encoding_aes_key=DEFAULT_AES_KEY),
                EnvelopeKey.parse(encoding_aes_key=LAST_AES_KEY),
            ),
        )
    )
    received: list[Callback] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    attempts: int = 0
    answer_after_s: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        self.attempts += 1
        try:
            callback = open_callback(
                query=request.query, body=await request.read(), security=self.security, now=datetime.now(UTC)
            )
        except CallbackRefused as refused:
            self.refused.append(refused.reason)
            return web.Response(status=403)
        self.received.append(callback)
        await asyncio.sleep(self.answer_after_s)
        return web.Response(text="success")

    async def check(self, request: web.Request) -> web.Response:
        try:
            echo = open_address_check(query=request.query, security=self.security, now=datetime.now(UTC))
        except CallbackRefused:
            return web.Response(status=403)
        return web.Response(text=echo)

    async def wait_for(self, count: int, *, timeout_s: float = 10.0) -> list[Callback]:
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:  # noqa: ASYNC110 - looks at a server from outside
                await asyncio.sleep(0.01)
        return self.received


@asynccontextmanager
async def receiver_server() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/wechat/callback", receiver.handle)
    app.router.add_get("/wechat/callback", receiver.check)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/wechat/callback"
    try:
        yield receiver
    finally:
        await runner.cleanup()
