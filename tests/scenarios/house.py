"""One house for all scenarios: four services in one process, a real broker and database, WeChat's sandbox."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI
from joserfc.jwk import ECKey
from pydantic import SecretStr

from deploy.local.processes import Child, Command, free_port
from deploy.reference.__main__ import manifests
from deploy.wechat_sandbox import settings as sandbox
from services.contracts.envelope import Event
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue, load_key
from services.kernel.broker import Consumer, TopicSpec, ensure_topics
from services.kernel.settings import KernelSettings
from services.notify.directory.vault import vault
from services.notify.settings import notify_settings
from services.notify.templates.texts import registered_templates
from tests.conftest import PROJECT, Stack
from tests.migrated import PASSWORD, dsn_of, empty_database

AUDIENCE, TOPIC_PREFIX = "keyline-tests", "scenarios-"


class MovableClock:
    """Runs at normal speed and is moved ahead by what a scenario says; never back."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by


@dataclass(frozen=True, kw_only=True)
class Said:
    type: str
    body: dict[str, Any]


@dataclass(kw_only=True)
class ScenarioHouse:
    url: str
    sandbox: str
    app: FastAPI
    clock: MovableClock
    key: ECKey
    issuer: str
    dsn: str
    session: aiohttp.ClientSession
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient | None
    said: list[Said] = field(default_factory=list)
    """Everything on any topic, in the order in which it was read."""

    async def tell(self, event: Event) -> None:
        headers = {
            "ce_specversion": "1.0", "ce_id": uuid4().hex, "ce_source": "scenarios", "ce_type": event.TYPE,
            "ce_time": self.clock.now().isoformat(),
        }  # fmt: skip
        await self.producer.send_and_wait(
            TOPIC_PREFIX + event.TOPIC, value=event.to_wire(), key=event.key.encode(),
            headers=[(k, v.encode()) for k, v in headers.items()],
        )  # fmt: skip

    async def call(self, method: str, path: str, *, person: str, **what: Any) -> tuple[int, Any]:
        token = issue(key=self.key, issuer=self.issuer, audience=AUDIENCE, person_id=person)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}
        async with self.session.request(method, self.url + path, headers=headers, **what) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def rows(self, table: str) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            schema, name = table.split(".")
            rows = await connection.fetch(f'SELECT to_jsonb(t)::text AS row FROM "{schema}"."{name}" t')
            return [json.loads(r["row"]) for r in rows]
        finally:
            await connection.close()

    async def follow(self, openid: str) -> None:
        body = {"followers": [{"openid": openid, "nickname": openid}]}
        async with self.session.post(f"{self.sandbox}/sandbox/followers", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def messages(self, openid: str) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.sandbox}/sandbox/messages", params={"openid": openid}) as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"]
            return found

    async def settle(self, *, seconds: float = 30) -> None:
        """Until all that was said is handled by all who hear it and nothing waits in an outbox."""
        quiet = 0
        async with asyncio.timeout(seconds):
            while quiet < 2:
                quiet = quiet + 1 if await self._is_quiet() else 0
                await asyncio.sleep(0.1)

    async def _is_quiet(self) -> bool:
        ends = await self.consumer.end_offsets(self.consumer.assignment())
        for runtime in self.app.state.runtimes.values():
            assert runtime.failed is None, runtime.failed
            for loop in runtime.loops:
                if await self._behind(loop.consumer, ends):
                    return False
        outboxes = " UNION ALL ".join(f"SELECT published_at FROM {name}.outbox" for name in self.app.state.runtimes)
        connection = await asyncpg.connect(self.dsn)
        try:
            unsaid = await connection.fetchval(f"SELECT count(*) FROM ({outboxes}) o WHERE published_at IS NULL")
        finally:
            await connection.close()
        return not unsaid and all([await self.consumer.position(p) >= end for p, end in ends.items()])

    async def _behind(self, member: Consumer, ends: dict[TopicPartition, int]) -> bool:
        """One question per group where the broker answers it; the member's own count of its lag elsewhere."""
        if self.admin is None:
            return sum((await member.lag()).values()) > 0
        done = await self.admin.list_consumer_group_offsets(member.group)
        assigned = member.client.assignment()
        return any(ends[p] > (done[p].offset if p in done else 0) for p in assigned if p in ends)

    async def read(self) -> None:
        while True:
            for records in (await self.consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if record.value is not None:
                        type_ = dict(record.headers).get("ce_type", b"").decode()
                        self.said.append(Said(type=type_, body=json.loads(record.value)))


@asynccontextmanager
async def open_house(stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScenarioHouse]:
    services = manifests()
    name = await empty_database(stack.postgres, *services)
    async with AsyncExitStack() as exits:
        port, sandbox_port = free_port(), free_port()
        _told_to_notify(monkeypatch, sandbox_port)
        exits.callback(_sandbox(folder, port=sandbox_port, callback=f"http://127.0.0.1:{port}").kill)
        key, issuer = load_key(folder / "issuer.json"), "http://issuer.invalid"
        signing = build_issuer(key=key, issuer=issuer, audience=AUDIENCE, environment="test")
        keys = await exits.enter_async_context(_served(signing, free_port()))
        settings = KernelSettings(
            environment="test", database_host=stack.postgres.host, database_port=stack.postgres.port,
            database_name=name, database_password=SecretStr(PASSWORD), oidc_issuer=issuer, oidc_audience=AUDIENCE,
            oidc_jwks_url=f"{keys}/jwks.json", kafka_bootstrap_servers=stack.broker.bootstrap_servers,
            broker_kind=stack.broker.kind, topic_prefix=TOPIC_PREFIX,
        )  # fmt: skip
        clock = MovableClock()
        settings.__dict__["clock"] = clock
        topics = {t.name: t for s in services for t in s.topics}
        heard = {t for s in services for t in (*s.single_topics, *(b.topic for b in s.bulk))}
        topics |= {name: TopicSpec(name=name) for name in heard - topics.keys()}  # said by nobody yet
        await ensure_topics([*topics.values()], settings=settings)
        app = build_app(services, settings=settings, role="all")
        url = await exits.enter_async_context(_served(app, port))
        servers = stack.broker.bootstrap_servers
        producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
        admin = AIOKafkaAdminClient(bootstrap_servers=servers) if stack.broker.kind == "kafka" else None
        if admin is not None:
            await admin.start()
            exits.push_async_callback(admin.close)
        for client in (producer, consumer):
            await client.start()
            exits.push_async_callback(client.stop)
        partitions = [(t.name, p) for t in topics.values() for p in range(t.partitions)]
        consumer.assign([TopicPartition(TOPIC_PREFIX + name, p) for name, p in partitions])
        house = ScenarioHouse(
            url=url, sandbox=f"http://127.0.0.1:{sandbox_port}", app=app, clock=clock, key=key, issuer=issuer,
            dsn=dsn_of(stack.postgres, name),
            session=await exits.enter_async_context(aiohttp.ClientSession()), producer=producer,
            consumer=consumer, admin=admin,
        )  # fmt: skip
        reading = asyncio.create_task(house.read())
        exits.callback(reading.cancel)
        yield house


def _told_to_notify(monkeypatch: pytest.MonkeyPatch, sandbox_port: int) -> None:
    given = {
        "MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
        "WECHAT_BASE_URL": f"http://127.0.0.1:{sandbox_port}",
        "WECHAT_APP_ID": sandbox.DEFAULT_APP_ID, "WECHAT_APP_SECRET": sandbox.DEFAULT_APP_SECRET,
        "WECHAT_CALLBACK_TOKEN": sandbox.DEFAULT_TOKEN, "WECHAT_ENCODING_AES_KEY": sandbox.DEFAULT_AES_KEY,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"KEYLINE_{name}", value)
    notify_settings.cache_clear()
    vault.cache_clear()


def _sandbox(folder: Path, *, port: int, callback: str) -> Child:
    (folder / "templates.json").write_text(json.dumps({"templates": registered_templates()}, ensure_ascii=False))
    child = Child(
        Command(
            name="sandbox",
            argv=[
                sys.executable, "-m", "deploy.wechat_sandbox", "--port", str(port),
                "--log", str(folder / "messages.jsonl"), "--templates", str(folder / "templates.json"),
                "--callback-url", f"{callback}/notify/v1/wechat/callback",
            ],
            log_path=folder / "sandbox.log", cwd=PROJECT, ready_url=f"http://127.0.0.1:{port}/sandbox/messages",
        )
    )  # fmt: skip
    child.start()
    child.wait_ready()
    return child


@asynccontextmanager
async def _served(app: FastAPI, port: int) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(90):
        while not server.started:
            assert not task.done(), "the server ended while starting"
            await asyncio.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
