"""Puts a load on its topic."""

import asyncio
from itertools import islice

from aiokafka import AIOKafkaProducer

from bench.store.load import Load
from services.kernel.broker import TopicSpec, ensure_topics
from services.kernel.settings import KernelSettings


async def fill(load: Load, *, settings: KernelSettings, topic: str) -> None:
    """Create `topic` (under the settings' prefix) and tell it everything, keyed by usage point."""
    await ensure_topics([TopicSpec(name=topic)], settings=settings)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", linger_ms=20, max_batch_size=500_000
    )
    await producer.start()
    try:
        messages = load.messages()
        while some := list(islice(messages, 5_000)):
            sent = [
                await producer.send(settings.topic_prefix + topic, key=key, value=body, headers=headers)
                for key, body, headers in some
            ]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()
