"""Does aiokafka tell the committed offset while the coordinator comes and goes? `python -m bench.broker_offsets`.

Answers to OffsetFetch v2 and later carry an error of their own with no partitions; a client that overlooks it takes
"ask again" for "nothing was ever committed" and starts over at `auto_offset_reset`.
Whether a pause makes the coordinator refuse is a race, hence many pauses; the counts are printed as JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.local.broker import Broker, Choice, start_broker
from services.kernel.broker import TopicSpec, ensure_topics
from services.kernel.settings import KernelSettings

COMMITTED, PAUSES, PAUSE_S, SETTLE_S = 77, 10, 4.0, 1.0
TOPIC = "offsets"


async def ask_while_the_broker_pauses(*, broker: Broker) -> dict[str, int]:
    """How often the committed offset was answered rightly, as None, or by an exception (which is safe)."""
    partition = TopicPartition(TOPIC, 0)
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id="asks", enable_auto_commit=False)
    settings = KernelSettings(environment="test", kafka_bootstrap_servers=broker.bootstrap_servers)
    await ensure_topics([TopicSpec(name=TOPIC, partitions=1)], settings=settings)
    await producer.start()
    for _ in range(COMMITTED):
        await producer.send_and_wait(TOPIC, b"x", partition=0)
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


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="broker-offsets-") as folder:
        choice = Choice(kind="kafka", reason="asked for", forced=True)
        broker = start_broker(folder=Path(folder), lib=Path("var/kafka/lib"), choice=choice)
        try:
            answers = asyncio.run(ask_while_the_broker_pauses(broker=broker))
        finally:
            broker.stop()
    print(json.dumps({"pauses": PAUSES, **answers}))
    return 1 if answers["wrongly_none"] else 0


if __name__ == "__main__":
    sys.exit(main())
