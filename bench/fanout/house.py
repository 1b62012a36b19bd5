"""notify's real schema with people in it, a sink beside it, and the ways to create and to send."""

import asyncio
import base64
import gc
import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import httpx
from sqlalchemy import insert

from bench.frame import Measured
from bench.stack import Stack
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from services.notify.adapters.wechat.transport import Transport, TransportLimits
from services.notify.channel_settings import channel_settings
from services.notify.delivery.fanout import Told, store
from services.notify.delivery.limits import Limits
from services.notify.delivery.links import link_key
from services.notify.delivery.rows import delivery_id_of
from services.notify.delivery.sender import Sender
from services.notify.delivery.wechat import WechatChannel
from services.notify.directory.vault import vault
from services.notify.manifest import SERVICE
from services.notify.policy.document import shipped_policy
from services.notify.policy.planning import Place, Recipient
from services.notify.settings import notify_settings
from services.notify.tables import contact, customer, person
from services.notify.templates.texts import shipped_texts

AT_ONCE = 64
WORKERS = 16
FACTS = {"at": "2026-07-01T04:05:00+00:00"}
MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
Bodies = Sequence[bytes]


@dataclass(kw_only=True)
class FanoutHouse:
    database: Database
    admin: asyncpg.Connection
    settings: KernelSettings
    url: str
    people: int

    def work(self, name: str) -> Any:
        cause, actor = Cause(id=name, source="bench", type="bench"), Actor(person_id="system:bench", role="system")
        return self.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)

    def recipients(self, count: int) -> list[Recipient]:
        return [
            Recipient(
                person_id=person_of(n), customer_id=customer_of(n), channels=("wechat", "inbox"),
                places=(Place(customer_id=customer_of(n), account_id=f"A-{n:06d}"),),
            )
            for n in range(count)
        ]  # fmt: skip

    async def clear(self) -> None:
        tables = ("delivery", "delivery_account", "attempt", "token_bucket", "circuit", "outbox", "outbox_stream")
        truncate = f"TRUNCATE {', '.join(f'notify.{table}' for table in tables)}"
        for _ in range(20):  # where notify runs beside, its transactions lock the same tables in their own order
            try:
                await self.admin.execute(truncate)
                break
            except asyncpg.DeadlockDetectedError:
                await asyncio.sleep(0.1)
        await self.admin.execute("CHECKPOINT")
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/forget") as answer:
            await answer.read()

    async def create(self, count: int, *, sample: int) -> Measured:
        """The product: one statement for all."""
        await self.clear()
        recipients, rule = self.recipients(count), shipped_policy().classes["fault-outage"]
        begun = time.perf_counter()
        async with self.work("create") as work:
            told = Told(
                name="fault-outage|O-1", event_class="fault-outage", subject_id="O-1", event_at=work.now, facts=FACTS
            )
            await store(work, rule=rule, told=told, recipients=recipients)
        seconds = time.perf_counter() - begun
        digests = {"sample": await self.rows_digest(sample), "whole": await self.rows_digest(count)}
        return Measured(work=count, seconds=seconds, digests={"sample": digests["sample"]})

    async def create_one_by_one(self, count: int) -> Measured:
        """The usual way: two inserts and a commit for each recipient, over one prepared connection."""
        await self.clear()
        names = {f"{customer_of(n)}": f"客户{n}" for n in range(count)}
        rows = self.recipients(count)
        now = datetime.now(UTC)
        begun = time.perf_counter()
        for recipient in rows:
            name, channel = "fault-outage|O-1", recipient.channel
            delivery_id = delivery_id_of(happening=name, person_id=recipient.person_id, channel=channel)
            async with self.admin.transaction():
                await self.admin.execute(
                    _INSERT, delivery_id, name, recipient.person_id, channel, recipient.customer_id,
                    json.dumps({"customer": names[recipient.customer_id], **FACTS}, ensure_ascii=False), ["inbox"], now,
                    now + timedelta(minutes=120),
                )  # fmt: skip
                await self.admin.execute(
                    "INSERT INTO notify.delivery_account VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", delivery_id,
                    recipient.places[0].account_id, recipient.customer_id,
                )  # fmt: skip
        seconds = time.perf_counter() - begun
        return Measured(work=count, seconds=seconds, digests={"sample": await self.rows_digest(count)})

    async def rows_digest(self, first: int) -> str:
        rows = await self.admin.fetch(
            "SELECT d.delivery_id, d.person_id, d.channel, d.event_class, d.state, d.ladder, d.facts::text, d.language,"
            " d.priority, a.account_id, a.customer_id FROM notify.delivery d JOIN notify.delivery_account a"
            " USING (delivery_id) ORDER BY d.person_id LIMIT $1", first,
        )  # fmt: skip
        return hashlib.sha256(repr([tuple(r) for r in rows]).encode()).hexdigest()

    async def send(self, count: int, *, sample: int, limits: Limits) -> Measured:
        """The product: claim, send, mark, with the events that it says of each message."""
        await self.clear()
        await self._fill(count)
        async with self._channel() as channel:
            sender = Sender(database=self.database, channels={"wechat": [channel]}, limits=limits)
            loop = sender.loops["wechat"]
            begun, cpu = time.perf_counter(), time.process_time()
            task = asyncio.create_task(sender.run())
            while loop.answered < count:  # noqa: ASYNC110 - the product has no event for a benchmark
                await asyncio.sleep(0.01)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            sender.running = False
            await task
        marked = await self.admin.fetchval("SELECT count(*) FROM notify.delivery WHERE state = 'accepted'")
        said = await self.admin.fetchval("SELECT count(*) FROM notify.outbox")
        assert marked == said == count, (marked, said)
        digests = await self._received(count, sample)
        return Measured(work=count, seconds=seconds, digests=digests, facts={"sender_cpu_s": cpu})

    async def send_raw(self, count: int, *, sample: int) -> Measured:
        """The same bodies, posted by an aiohttp loop that does nothing else."""
        await self.clear()
        bodies = iter(self._bodies(count))
        begun, cpu = time.perf_counter(), time.process_time()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

            async def one() -> None:
                for body in bodies:
                    async with session.post(f"{self.url}/cgi-bin/message/template/send", data=body) as answer:
                        await answer.read()

            await asyncio.gather(*[one() for _ in range(AT_ONCE)])
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        digests = await self._received(count, sample)
        return Measured(work=count, seconds=seconds, digests=digests, facts={"sender_cpu_s": cpu})

    async def send_one_by_one(self, count: int) -> Measured:
        """The usual way: sixteen workers, each with a transaction and an httpx call for one message after the other."""
        await self.clear()
        await self._fill(count)
        bodies = dict(zip([person_of(n) for n in range(count)], self._bodies(count), strict=True))
        pool = await asyncpg.create_pool(self._dsn, min_size=WORKERS, max_size=WORKERS)
        begun = time.perf_counter()
        cpu = time.process_time()
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=WORKERS)) as client:
            await asyncio.gather(*[self._worker(pool, client, bodies) for _ in range(WORKERS)])
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        await pool.close()
        received = await self._received(count, count)
        digests = {"sample": received["sample"]}
        return Measured(work=count, seconds=seconds, digests=digests, facts={"sender_cpu_s": cpu})

    async def _worker(self, pool: asyncpg.Pool, client: httpx.AsyncClient, bodies: dict[str, bytes]) -> None:
        while True:
            async with pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_TAKE)
                if row is None:
                    return
                answer = await client.post(
                    f"{self.url}/cgi-bin/message/template/send", content=bodies[row["person_id"]]
                )
                await connection.execute(
                    "UPDATE notify.delivery SET state = 'accepted', provider_message_id = $2, accepted_at = now()"
                    " WHERE delivery_id = $1", row["delivery_id"], str(answer.json()["msgid"]),
                )  # fmt: skip
                await connection.execute(
                    "INSERT INTO notify.attempt (delivery_id, number, provider, outcome, at)"
                    " VALUES ($1, 1, 'wechat', 'accepted', now())", row["delivery_id"],
                )  # fmt: skip

    async def arrivals(self) -> list[float]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/arrivals") as answer:
            return list((await answer.json())["times"])

    async def _fill(self, count: int) -> None:
        async with self.work(f"fill|{uuid4()}") as work:
            told = Told(
                name="fault-outage|O-1", event_class="fault-outage", subject_id="O-1", event_at=work.now, facts=FACTS
            )
            rule = shipped_policy().classes["fault-outage"]
            await store(work, rule=rule, told=told, recipients=self.recipients(count))
        await self.admin.execute("TRUNCATE notify.outbox, notify.outbox_stream")

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[WechatChannel]:
        transport = Transport(base_url=self.url, limits=TransportLimits(max_connections=AT_ONCE, total_timeout_s=5))
        account = Account(app_id="wx", app_secret="s")
        async with WechatClient(account=account, tokens=InMemoryTokenStore(), transport=transport) as client:
            yield WechatChannel(client=client)

    def _bodies(self, count: int) -> Bodies:
        texts = shipped_texts()
        return [
            json.dumps(
                {
                    "touser": openid_of(n), "template_id": "KEYLINE_FAULT_OUTAGE", "client_msg_id": f"{n:032d}",
                    "data": {
                        name: {"value": value}
                        for name, value in texts.render(
                            "fault-outage", channel="wechat", language="zh",
                            facts={"customer": f"客户{n}", **FACTS}, account_ids=[f"A-{n:06d}"],
                        ).fields.items()
                    },
                },
                ensure_ascii=False,
            ).encode()
            for n in range(count)
        ]  # fmt: skip

    async def _received(self, count: int, sample: int) -> dict[str, str]:
        async with aiohttp.ClientSession() as session:
            found = {}
            for name, first in (("whole", count), ("sample", sample)):
                async with session.get(f"{self.url}/received", params={"first": str(first)}) as answer:
                    told = await answer.json()
                assert told["count"] == told["people"] == count, told
                found[name] = told["digest"]
        return found if count > sample else {"sample": found["sample"]}

    @property
    def _dsn(self) -> str:
        url = self.database._settings.database_url(service="notify", role="worker")
        return url.replace("postgresql+asyncpg://", "postgresql://")


_INSERT = """
INSERT INTO notify.delivery (delivery_id, happening, person_id, channel, event_class, subject_id, customer_id,
  cause_type, cause_id, facts, language, priority, state, ladder, mandatory, fallback_seconds, ack, next_attempt_at,
  give_up_at, event_at, created_at)
VALUES ($1, $2, $3, $4, 'fault-outage', 'O-1', $5, 'bench', 'create', $6, 'zh', 0, 'pending', $7, true, 60, false, $8,
  $9, $8, $8) ON CONFLICT DO NOTHING"""
_TAKE = """
SELECT delivery_id, person_id FROM notify.delivery WHERE channel = 'wechat' AND state = 'pending'
ORDER BY priority, next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED"""


def person_of(number: int) -> str:
    return f"P-{number:06d}"


def openid_of(number: int) -> str:
    return f"openid-{number:06d}"


def customer_of(number: int) -> str:
    return f"C-{number:06d}"


@asynccontextmanager
async def fanout_house(stack: Stack, *, people: int, name: str, broker: bool = False) -> AsyncIterator[FanoutHouse]:
    os.environ["KEYLINE_MASTER_KEY"] = MASTER_KEY
    for cached in (notify_settings, vault, channel_settings, link_key):
        cached.cache_clear()
    settings = await stack.install(SERVICE, database=name, broker=broker)
    database = Database(service="notify", metadata=SERVICE.metadata, settings=settings)
    admin = await asyncpg.connect(stack.dsn(name))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    sink = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.fanout.sink", str(port))
    house = FanoutHouse(
        database=database, admin=admin, settings=settings, url=f"http://127.0.0.1:{port}", people=people
    )
    try:
        await _settle(house)
        await asyncio.sleep(1)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)  # as services.kernel.run does; for all variants
        yield house
    finally:
        sink.terminate()
        await sink.wait()
        await admin.close()
        await database.close()


async def _settle(house: FanoutHouse) -> None:
    """People with an openid each, and their customers."""
    now = datetime.now(UTC)
    for first in range(0, house.people, 2_000):
        numbers = range(first, min(first + 2_000, house.people))
        people, contacts = [], []
        for n in numbers:
            key, wrapped = vault().new_key(person_id=person_of(n))
            people.append({"person_id": person_of(n), "language": "zh", "wrapped_key": wrapped,
                           "name_cipher": key.seal("某联系人", field="name")})  # fmt: skip
            contacts.append({
                "person_id": person_of(n), "kind": "wechat", "source": "archive", "in_force": True, "said_at": now,
                "said_by": "bench", "value_cipher": key.seal(openid_of(n), field="wechat"),
                "blind_index": vault().blind_index(kind="wechat", value=openid_of(n)),
            })  # fmt: skip
        async with house.work(f"people|{first}") as work:
            await work.db.execute(insert(person), people)
            await work.db.execute(insert(contact), contacts)
            await work.db.execute(
                insert(customer), [{"customer_id": customer_of(n), "name": f"客户{n}"} for n in numbers]
            )
    await house.admin.execute("VACUUM ANALYZE")
