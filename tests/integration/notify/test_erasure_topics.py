"""After erasure the compacted topics themselves, read from their beginning, hold nothing of the person."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.contracts.marketing import PersonChanged
from services.contracts.notify import EngagementsChanged
from services.kernel.broker import COMPACTION_LAG, Producer, ensure_topics
from services.kernel.relay import Relay
from services.kernel.settings import KernelSettings
from services.notify.manifest import SERVICE
from tests.conftest import Stack
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.test_delivery import profile
from tests.integration.notify.test_erasure import NAME, canary_person, hits, passed_on, settled

TOPICS = (PersonChanged.TOPIC, EngagementsChanged.TOPIC)
SPECS = {t.name: t for t in SERVICE.topics if t.name in TOPICS}
KEYS = {PersonChanged.key_of("P-1"), EngagementsChanged.key_of("P-1")}
Record = tuple[str, bytes | None]


@asynccontextmanager
async def relaying(house: NotifyHouse, settings: KernelSettings) -> AsyncIterator[None]:
    dsn = house.settings.database_url(service="notify", role="worker")
    relay = Relay(database=house.database, producer=Producer(settings=settings), dsn=dsn)
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        relay.running = False
        await task


async def passed(house: NotifyHouse) -> None:
    async with asyncio.timeout(20):
        while await house.rows("SELECT 1 FROM notify.outbox WHERE published_at IS NULL"):  # noqa: ASYNC110 - looks from outside
            await asyncio.sleep(0.1)


async def from_the_beginning(settings: KernelSettings, topic: str) -> list[Record]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        name = settings.topic_prefix + topic
        partitions = [TopicPartition(name, n) for n in range(SPECS[topic].partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        async with asyncio.timeout(30):
            while any([await consumer.position(p) < end for p, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [((r.key or b"").decode(), r.value) for r in records]
        return found
    finally:
        await consumer.stop()


async def hurry(settings: KernelSettings) -> None:
    """The house's own topics, with a day of waiting made a moment."""
    moment = {"segment.ms": "500", "max.compaction.lag.ms": "500", "min.cleanable.dirty.ratio": "0.01"}
    configs = {"cleanup.policy": "compact", **moment}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        for topic in TOPICS:
            name = settings.topic_prefix + topic
            [found] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            made = {entry[0]: entry[1] for entry in found.resources[0][4]}
            assert made["cleanup.policy"] == "compact"
            assert timedelta(milliseconds=int(made["max.compaction.lag.ms"])) == COMPACTION_LAG
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs)])
    finally:
        await admin.close()


async def more_is_said(settings: KernelSettings) -> None:
    """Of others, in every partition: a segment ends when the next record comes."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        for topic in TOPICS:
            name = settings.topic_prefix + topic
            for number in range(SPECS[topic].partitions):
                await producer.send_and_wait(name, value=b"{}", key=uuid4().hex.encode(), partition=number)
    finally:
        await producer.stop()


def of_the_person(records: list[Record]) -> list[Record]:
    return [r for r in records if r[0] in KEYS]


async def test_the_topics_keep_a_tombstone_and_nothing_else_of_who_was_erased(house: NotifyHouse, stack: Stack) -> None:
    if stack.broker.kind != "kafka":
        pytest.skip("NOT SHOWN: this broker does not compact topics")
    settings = house.settings.model_copy(
        update={
            "kafka_bootstrap_servers": stack.broker.bootstrap_servers, "broker_kind": stack.broker.kind,
            "topic_prefix": f"erasure-{uuid4().hex[:8]}-",
        }
    )  # fmt: skip
    await ensure_topics([*SPECS.values()], settings=settings)
    await hurry(settings)
    async with relaying(house, settings):
        await house.hear(profile("C-1", "A-1"))
        await passed_on(house, canary_person())
        await passed(house)
        before = [r for topic in TOPICS for r in await from_the_beginning(settings, topic)]
        assert {key for key, _ in of_the_person(before)} == KEYS, "both topics tell of the person"
        assert NAME in hits(str([(value or b"").decode() for _, value in before]))
        await asyncio.sleep(0.6)
        async with house.served() as call:
            status, _ = await call("POST", "/persons/me/privacy-requests", by="P-1", body={"kind": "erasure"})
            assert status == 201
        await settled(house, "notify-erasure", "SELECT 1 FROM notify.privacy_request WHERE done_at IS NULL")
        await passed(house)
    after: list[Record] = []
    async with asyncio.timeout(90):
        while len(of_the_person(after)) != len(KEYS):
            await more_is_said(settings)
            await asyncio.sleep(2)
            after = [r for topic in TOPICS for r in await from_the_beginning(settings, topic)]
    assert sorted(of_the_person(after)) == sorted((key, None) for key in KEYS)
    text = str([(key, (value or b"").decode()) for key, value in after])
    assert hits(text) == []
    assert "P-1" not in str([(value or b"").decode() for _, value in after])
