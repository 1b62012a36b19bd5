"""notify on a real database, fed with records as from the broker, sending to a WeChat stand-in over real HTTP."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import uvicorn
from aiohttp import web
from fastapi import FastAPI

from deploy.local.postgres import PostgresServer
from deploy.local.processes import free_port
from services.contracts.envelope import Event
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue, load_key
from services.kernel.broker import Record
from services.kernel.consumer import Applier
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.crypto import push_signature
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from services.notify.adapters.wechat.transport import Transport
from services.notify.delivery.sender import Sender
from services.notify.delivery.wechat import WechatChannel
from services.notify.manifest import SERVICE
from tests.migrated import PASSWORD, dsn_of, empty_database

AUDIENCE = "keyline-tests"
CALLBACK_TOKEN = "callback-token"
MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


@dataclass(kw_only=True)
class FakeWechat:
    """The provider: answers what the test says, remembers what it was sent."""

    url: str = ""
    sent: list[dict[str, Any]] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    """Answered one after the other before anything is accepted."""

    async def token(self, request: web.Request) -> web.Response:
        return web.json_response({"access_token": "t" * 32, "expires_in": 7200})

    async def send(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.errors:
            return web.json_response({"errcode": self.errors.pop(0), "errmsg": "as the test says"})
        self.sent.append(body)
        return web.json_response({"errcode": 0, "errmsg": "ok", "msgid": 1000 + len(self.sent)})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeWechat"]:
        app = web.Application()
        app.router.add_post("/cgi-bin/stable_token", self.token)
        app.router.add_post("/cgi-bin/message/template/send", self.send)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass(kw_only=True)
class NotifyHouse:
    settings: KernelSettings
    folder: Path
    database: Database
    applier: Applier
    sender: Sender
    channel: WechatChannel
    wechat: FakeWechat
    admin: asyncpg.Connection
    offset: int = 0

    async def hear(self, *events: Event, event_id: str | None = None) -> list[str]:
        """What became of each record."""
        outcomes = []
        for event in events:
            self.offset += 1
            outcomes.append(await self.applier.apply(record_of(event, self.offset, event_id or uuid4().hex)))
        return outcomes

    async def forget(self, event: type[Event], key: str) -> str:
        """A null value on a compacted topic."""
        self.offset += 1
        headers = {"ce_type": event.TYPE, "ce_id": uuid4().hex, "ce_source": "tests"}
        return await self.applier.apply(
            Record(
                topic=event.TOPIC, partition=0, offset=self.offset, key=event.key_of(key).encode(), value=None,
                headers=headers, timestamp_ms=0,
            )
        )  # fmt: skip

    async def send_due(self) -> int:
        took = await self.sender.turn()
        await self.sender.drain()
        return took

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Caller"]:
        """The routes over HTTP, with the development issuer beside them."""
        key = load_key(self.folder / "issuer.json")
        issuer = self.settings.oidc_issuer
        signing = build_issuer(key=key, issuer=issuer, audience=AUDIENCE, environment="test")
        app = build_app([SERVICE], settings=self.settings, role="api")
        async with _listening(signing, int(issuer.rsplit(":", 1)[1])), _listening(app, free_port()) as url:
            yield Caller(url=url, token=lambda p: issue(key=key, issuer=issuer, audience=AUDIENCE, person_id=p))

    async def rows(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return list(await self.admin.fetch(sql, *arguments))

    async def said(self, type_end: str) -> list[asyncpg.Record]:
        """Bodies put into the outbox, in order."""
        return await self.rows(
            "SELECT aggregateid AS key, convert_from(payload, 'UTF8')::jsonb AS body FROM notify.outbox"
            " WHERE type LIKE $1 ORDER BY version, aggregateid", f"%.{type_end}.v1",
        )  # fmt: skip


@dataclass(kw_only=True)
class Caller:
    url: str
    token: Callable[[str], str]

    async def __call__(self, method: str, path: str, *, by: str, body: Any = None) -> tuple[int, Any]:
        header = {"Authorization": f"Bearer {self.token(by)}", "Idempotency-Key": uuid4().hex}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/notify/v1{path}", headers=header, json=body) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def push(self, body: str, *, token: str) -> int:
        """As WeChat does in plain mode."""
        stamp = str(int(time.time()))
        signature = push_signature(token=token, timestamp=stamp, nonce="n")
        query = {"signature": signature, "timestamp": stamp, "nonce": "n"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/notify/v1/wechat/callback", params=query, data=body.encode()) as answer,
        ):
            return answer.status


@asynccontextmanager
async def _listening(app: FastAPI, port: int) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def record_of(event: Event, offset: int, event_id: str) -> Record:
    headers = {
        "ce_specversion": "1.0", "ce_id": event_id, "ce_source": "tests", "ce_type": event.TYPE,
        "ce_time": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    return Record(
        topic=event.TOPIC, partition=0, offset=offset, key=event.key.encode(), value=event.to_wire(), headers=headers,
        timestamp_ms=0,
    )  # fmt: skip


@asynccontextmanager
async def open_house(postgres: PostgresServer, folder: Path) -> AsyncIterator[NotifyHouse]:
    """An empty migrated database of its own."""
    name = await empty_database(postgres, SERVICE)
    issuer = f"http://127.0.0.1:{free_port()}"
    settings = KernelSettings.model_validate(
        {
            "environment": "test", "database_host": postgres.host, "database_port": postgres.port,
            "database_name": name, "database_password": PASSWORD,
            "oidc_issuer": issuer, "oidc_audience": AUDIENCE, "oidc_jwks_url": f"{issuer}/jwks.json",
        }
    )  # fmt: skip
    database = Database(service="notify", metadata=SERVICE.metadata, settings=settings)
    admin = await asyncpg.connect(dsn_of(postgres, name))
    async with FakeWechat().running() as wechat:
        client = WechatClient(
            account=Account(app_id="wx-test", app_secret="secret"), tokens=InMemoryTokenStore(),
            transport=Transport(base_url=wechat.url),
        )  # fmt: skip
        async with client:
            channel = WechatChannel(client=client)
            sender = Sender(database=database, channels={"wechat": [channel]})
            try:
                yield NotifyHouse(
                    settings=settings,
                    folder=folder,
                    database=database, applier=Applier(service=SERVICE, database=database), sender=sender,
                    channel=channel, wechat=wechat, admin=admin,
                )  # fmt: skip
            finally:
                await admin.close()
                await database.close()
