"""The port's guards against aiokafka's faults (docs/adr/0001), on a real broker; a race is placed, not hoped for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from services.kernel import broker
from services.kernel.broker import Consumer, OffsetsOutOfRange, Outgoing, Producer, TopicSpec, ensure_topics
from services.kernel.settings import KernelSettings
from tests.conftest import Stack

LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 14, 15, 16
GROUP, TOPIC = "readers", "said"


@dataclass(kw_only=True)
class Log:
    """One topic of one partition and a group that reads it."""

    settings: KernelSettings

    @property
    def partition(self) -> TopicPartition:
        return TopicPartition(self.settings.topic_prefix + TOPIC, 0)

    async def write(self, count: int) -> None:
        producer = Producer(settings=self.settings)
        sent = [Outgoing(topic=TOPIC, key=b"k", value=b"%d" % n, headers={}) for n in range(count)]
        try:
            assert all(await producer.send(sent))
        finally:
            await producer.discard()

    async def commit(self, offset: int) -> None:
        """As another member would, or an operator."""
        client = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, enable_auto_commit=False,
            group_id=self.settings.topic_prefix + GROUP,
        )  # fmt: skip
        client.assign([self.partition])
        await client.start()
        try:
            await client.commit({self.partition: offset})
        finally:
            await client.stop()

    @asynccontextmanager
    async def reading(self, *, kind: str = "kafka") -> AsyncIterator[Consumer]:
        settings = self.settings.model_copy(update={"broker_kind": kind})
        consumer = Consumer(settings=settings, group=GROUP, topics=[TOPIC])
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def first_offset(consumer: Consumer) -> int:
    for _ in range(40):
        if records := await consumer.poll(max_records=10, timeout_ms=500):
            return records[0].offset
    raise AssertionError("nothing was read")


@pytest.fixture
async def log(stack: Stack) -> Log:
    if stack.broker.kind != "kafka":
        pytest.skip("these guards are about Apache Kafka, which is not here: install Java and Maven")
    settings = KernelSettings(
        environment="test", kafka_bootstrap_servers=stack.broker.bootstrap_servers, topic_prefix=f"b{uuid4().hex[:8]}-",
        session_timeout_ms=2_000,
    )  # fmt: skip
    await ensure_topics([TopicSpec(name=TOPIC, partitions=1)], settings=settings)
    return Log(settings=settings)


def refuse_offsets(monkeypatch: pytest.MonkeyPatch, codes: list[int]) -> list[int]:
    """The coordinator's next answers to OffsetFetch carry these errors and no partitions; the list shrinks."""
    real = AIOKafkaClient.send

    async def send(self: AIOKafkaClient, node: Any, request: Any, **how: Any) -> Any:
        if isinstance(request, OffsetFetchRequest) and codes:
            return OffsetFetchResponse_v3(throttle_time_ms=0, topics=[], error_code=codes.pop(0))
        return await real(self, node, request, **how)

    monkeypatch.setattr(AIOKafkaClient, "send", send)
    return codes


async def test_a_coordinator_that_says_ask_again_is_asked_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.write(8)
    await log.commit(5)
    left = refuse_offsets(monkeypatch, [LOADING, NOT_COORDINATOR, LOADING, NOT_AVAILABLE])
    async with log.reading() as consumer:
        assert await first_offset(consumer) == 5
    assert left == []


async def test_without_the_guard_aiokafka_reads_everything_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails once aiokafka heeds the error itself: then the guard can go."""
    await log.write(8)
    await log.commit(5)
    monkeypatch.setattr(GroupCoordinator, "_send_req", broker._send_to_coordinator)
    refuse_offsets(monkeypatch, [LOADING] * 4)
    async with log.reading() as consumer:
        assert await first_offset(consumer) == 0


async def test_records_written_and_committed_during_the_check_do_not_stop_a_member(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.write(4)
    await log.commit(4)
    asked: list[str] = []

    def then_others_go_on(name: str) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(AIOKafkaConsumer, name)

        async def answer(self: AIOKafkaConsumer, *arguments: Any) -> Any:
            found = await real(self, *arguments)
            asked.append(name)
            if len(asked) == 1:
                await log.write(3)
                await self.commit({log.partition: 7})
            return found

        monkeypatch.setattr(AIOKafkaConsumer, name, answer)

    then_others_go_on("committed")
    then_others_go_on("end_offsets")
    async with log.reading() as consumer:
        for _ in range(10):
            await consumer.poll(max_records=10, timeout_ms=300)
    assert asked == ["committed", "end_offsets"]


async def test_a_position_the_log_does_not_hold_stops_the_member_where_ends_are_exact(log: Log) -> None:
    await log.write(4)
    await log.commit(9)
    async with log.reading() as consumer:
        with pytest.raises(OffsetsOutOfRange, match=r"committed 9, log holds 0\.\.4"):
            await first_offset(consumer)
        with pytest.raises(OffsetsOutOfRange):
            await consumer.poll(max_records=1, timeout_ms=100)


async def test_a_broker_with_wrong_ends_is_not_compared_with_them(log: Log) -> None:
    await log.write(4)
    await log.commit(9)
    async with log.reading(kind="tansu") as consumer:
        assert await first_offset(consumer) == 0


async def test_a_check_that_cannot_be_made_is_made_later_and_no_record_passes_before(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.write(4)
    await log.commit(9)
    real, failures = AIOKafkaConsumer.beginning_offsets, [1, 1]

    async def away(self: AIOKafkaConsumer, partitions: list[TopicPartition]) -> Any:
        if failures:
            failures.pop()
            raise KafkaError("the broker is away")
        return await real(self, partitions)

    monkeypatch.setattr(AIOKafkaConsumer, "beginning_offsets", away)
    seen: list[object] = []
    async with log.reading() as consumer:
        for _ in range(40):
            try:
                seen += await consumer.poll(max_records=10, timeout_ms=300)
            except OffsetsOutOfRange:
                break
            except KafkaError:
                continue
        else:
            raise AssertionError("the check was forgotten")
    assert (seen, failures) == ([], [])
