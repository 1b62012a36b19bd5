"""Runs the echo service as a process of its own and looks at it from outside: topics, tables, HTTP."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from joserfc.jwk import ECKey

from deploy.local.processes import Child, Command, free_port
from services.contracts.envelope import Event
from services.kernel.auth.dev_issuer import issue, load_key
from tests.conftest import PROJECT, Stack
from tests.kernel.echo import SERVICE
from tests.migrated import PASSWORD, empty_database

AUDIENCE = "keyline-tests"


@dataclass(kw_only=True)
class EchoHouse:
    """One database, one topic prefix, one issuer key, and the echo service as a child process."""

    stack: Stack
    name: str
    folder: Path
    key: ECKey
    issuer_port: int
    port: int = field(default_factory=free_port)
    child: Child | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.issuer_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "KEYLINE_ENVIRONMENT": "test",
            "KEYLINE_DATABASE_HOST": self.stack.postgres.host,
            "KEYLINE_DATABASE_PORT": str(self.stack.postgres.port),
            "KEYLINE_DATABASE_NAME": self.name,
            "KEYLINE_DATABASE_PASSWORD": PASSWORD,
            "KEYLINE_KAFKA_BOOTSTRAP_SERVERS": self.stack.broker.bootstrap_servers,
            "KEYLINE_BROKER_KIND": self.stack.broker.kind,
            "KEYLINE_TOPIC_PREFIX": f"{self.name}-",
            "KEYLINE_SESSION_TIMEOUT_MS": "2000",
            "KEYLINE_OIDC_ISSUER": self.issuer,
            "KEYLINE_OIDC_AUDIENCE": AUDIENCE,
            "KEYLINE_OIDC_JWKS_URL": f"{self.issuer}/jwks.json",
            **extra,
        }

    def start(self, *, module: str = "tests.kernel.echo", role: str = "all", **extra: str) -> Child:
        self.child = Child(
            Command(
                name=f"echo-{self.name}",
                argv=[sys.executable, "-m", module, "serve", "--role", role, "--port", str(self.port)],
                log_path=self.folder / f"echo-{role}.log",
                env=self.environment(**extra),
                cwd=PROJECT,
                ready_url=f"{self.url}/livez",
                ready_timeout_s=60,
            )
        )
        self.child.start()
        return self.child

    async def admin(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._dsn("superuser"))

    async def login(self, role: str) -> asyncpg.Connection:
        return await asyncpg.connect(self._dsn(f"echo_{role}"))

    def _dsn(self, login: str) -> str:
        if login == "superuser":
            return f"{self.stack.postgres.superuser_dsn.rsplit('/', 1)[0]}/{self.name}"
        return f"postgresql://{login}:{PASSWORD}@{self.stack.postgres.host}:{self.stack.postgres.port}/{self.name}"

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        connection = await self.admin()
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def until(self, sql: str, wanted: Callable[[list[Any]], bool], *, seconds: float = 30) -> Any:
        """The rows of `sql` once they are as wanted; fails with what stood there instead."""
        found: list[Any] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found = await self.rows(sql)
                    if wanted(found):
                        return found
                    await asyncio.sleep(0.1)
        assert self.child is not None
        raise AssertionError(f"not in {seconds} s; last seen {found}\n{self.child.tail()}")

    async def send(self, *events: Event | tuple[Event, dict[str, str]], partition: int | None = None) -> None:
        async with self.producer() as producer:
            for item in events:
                event, extra = item if isinstance(item, tuple) else (item, {})
                await producer.send_and_wait(
                    f"{self.name}-{event.TOPIC}", value=event.to_wire(), key=event.key.encode(),
                    headers=[(k, v.encode()) for k, v in {**headers(event.TYPE), **extra}.items()], partition=partition,
                )  # fmt: skip

    async def send_raw(self, topic: str, value: bytes | None, *, key: bytes, header: dict[str, str]) -> None:
        async with self.producer() as producer:
            await producer.send_and_wait(
                f"{self.name}-{topic}", value=value, key=key, headers=[(k, v.encode()) for k, v in header.items()]
            )

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self.stack.broker.bootstrap_servers, acks="all")
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def said_on(self, topic: str) -> list[dict[str, Any]]:
        """All records of a topic as they stand on the broker now."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.stack.broker.bootstrap_servers)
        await consumer.start()
        try:
            full = f"{self.name}-{topic}"
            partitions = [TopicPartition(full, p) for p in (0, 1)]  # as many as echo declares
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            found: list[dict[str, Any]] = []
            while any([await consumer.position(p) < ends[p] for p in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [{"key": r.key, "value": json.loads(r.value), "headers": dict(r.headers)} for r in records]
            return found
        finally:
            # aiokafka 0.14 lets the end of its own background task escape here for consumers without a group.
            with contextlib.suppress(asyncio.CancelledError):
                await consumer.stop()

    def token(self, person_id: str) -> str:
        return issue(key=self.key, issuer=self.issuer, audience=AUDIENCE, person_id=person_id)

    async def call(
        self, method: str, path: str, *, person_id: str = "", body: Any = None, header: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and decoded body; writes get a fresh idempotency key unless one is given."""
        sent = {"Idempotency-Key": uuid4().hex, **(header or {})}
        if person_id:
            sent.setdefault("Authorization", f"Bearer {self.token(person_id)}")
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", json=body, headers=sent) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if text else None


def headers(type_: str, *, event_id: str | None = None, source: str = "tests") -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": event_id or uuid4().hex,
        "ce_source": source,
        "ce_type": type_,
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }


async def open_house(stack: Stack, folder: Path) -> EchoHouse:
    """An empty database, migrated, with the issuer's key; the service is not started yet."""
    name = await empty_database(stack.postgres, SERVICE)
    house = EchoHouse(
        stack=stack, name=name, folder=folder, key=load_key(folder / "issuer.json"), issuer_port=free_port()
    )
    return house
