"""Does a consumer learn its committed offset while the group's coordinator comes and goes? Part of `broker_spike`.

Answers to OffsetFetch v2 and later carry an error of their own with no partitions; a client that overlooks it takes
"ask again" for "nothing was ever committed" and starts over at `auto_offset_reset`.
"""

import asyncio
import time
from collections import Counter

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.local.broker import Broker

COMMITTED, PAUSES, PAUSE_S, SETTLE_S = 77, 3, 4.0, 1.5


async def ask_while_the_broker_pauses(*, broker: Broker, topic: str) -> dict[str, int]:
    """How often the committed offset was answered rightly, as None, or by an exception (which is safe)."""
    partition = TopicPartition(topic, 0)
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, group_id="asks-" + topic, enable_auto_commit=False
    )
    await producer.start()
    for _ in range(COMMITTED):
        await producer.send_and_wait(topic, b"x", partition=0)
    await producer.stop()
    consumer.assign([partition])
    await consumer.start()
    try:
        await consumer.commit({partition: COMMITTED})
        asking = asyncio.create_task(_ask(consumer, partition, until=time.monotonic() + PAUSES * (PAUSE_S + SETTLE_S)))
        for _ in range(PAUSES):
            await _pause(broker)
        return await asking
    finally:
        await consumer.stop()


async def _pause(broker: Broker) -> None:
    assert broker.server is not None
    broker.server.pause()
    await asyncio.sleep(PAUSE_S)
    broker.server.resume()
    await asyncio.sleep(SETTLE_S)


async def _ask(consumer: AIOKafkaConsumer, partition: TopicPartition, *, until: float) -> dict[str, int]:
    answers: Counter[str] = Counter(right=0, wrongly_none=0, raised=0)
    while time.monotonic() < until:
        try:
            said = await asyncio.wait_for(consumer.committed(partition), timeout=15)
            answers["right" if said == COMMITTED else "wrongly_none"] += 1
        except (KafkaError, TimeoutError):
            answers["raised"] += 1
        await asyncio.sleep(0.001)
    return dict(answers)
