"""The processes of `bench.broker_spike`: a member of a consumer group and a producer, on the kernel's port.

Each writes what it did as lines into one shared file: first the effect, then the commit, as a service does.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

from aiokafka.errors import KafkaError

from services.kernel.broker import Consumer, Outgoing, Producer
from services.kernel.settings import KernelSettings

KEYS, BATCH, PERIOD_S = 24, 40, 0.1
SESSION_MS, MAX_POLL_MS, IDLE_S = 2_000, 10_000, 13.0


def settings_of(*, kind: str, bootstrap: str, name: str) -> KernelSettings:
    return KernelSettings.model_validate(
        {
            "environment": "test",
            "kafka_bootstrap_servers": bootstrap,
            "broker_kind": kind,
            "instance": name,
            "session_timeout_ms": SESSION_MS,
            "max_poll_interval_ms": MAX_POLL_MS,
        }
    )


class Appender:
    """Whole lines by several processes into one file; the order of the lines is the order of the effects."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *fields: object) -> None:
        os.write(self._descriptor, (" ".join(map(str, fields)) + "\n").encode())


async def produce(settings: KernelSettings, topic: str, out: Appender) -> None:
    """As the outbox relay does: a batch is sent again, whole and in order, until every record is acknowledged."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    producer, number = Producer(settings=settings), 0
    while not stopping.is_set():
        ids = range(number, number + BATCH)
        batch = [Outgoing(topic=topic, key=b"%d" % (i % KEYS), value=b"%d" % i, headers={}) for i in ids]
        while not all(await producer.send(batch)):
            out.write("retry", number, time.monotonic())
            await asyncio.sleep(0.2)
        for i in ids:
            out.write("acked", i, time.monotonic())
        number += BATCH
        await asyncio.sleep(PERIOD_S)
    await producer.discard()


async def consume(settings: KernelSettings, topic: str, out: Appender) -> None:
    """Polls, appends, commits. SIGUSR1: no poll for a while; SIGUSR2: the event loop itself stands still."""
    stopping, idle, block = asyncio.Event(), asyncio.Event(), asyncio.Event()
    for number, event in ((signal.SIGTERM, stopping), (signal.SIGUSR1, idle), (signal.SIGUSR2, block)):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    consumer = Consumer(settings=settings, group="spike-" + topic, topics=[topic])
    while not stopping.is_set():
        try:
            await consumer.start()
            out.write("started", settings.instance, time.monotonic())
            while not stopping.is_set():
                await _turn(consumer, settings.instance, out, idle, block)
        except (KafkaError, OSError) as error:
            out.write("rebuilt", settings.instance, type(error).__name__)
            await asyncio.sleep(0.5)
        await consumer.stop()


async def _turn(consumer: Consumer, name: str, out: Appender, idle: asyncio.Event, block: asyncio.Event) -> None:
    records = await consumer.poll(max_records=200, timeout_ms=200)
    if records and (idle.is_set() or block.is_set()):
        out.write("stands", name, time.monotonic())
        if idle.is_set():
            await asyncio.sleep(IDLE_S)
        else:
            time.sleep(3 * SESSION_MS / 1000)  # noqa: ASYNC251 - the fault is exactly this
        idle.clear()
        block.clear()
        out.write("goes-on", name, time.monotonic())
    positions: dict[tuple[str, int], int] = {}
    for record in records:
        out.write("seen", name, int(record.key or b"-1"), int(record.value or b"-1"), time.monotonic())
        positions[record.topic, record.partition] = record.offset + 1
    if positions:
        await consumer.commit(positions)


def inversions(seen: list[tuple[int, int]]) -> int:
    """First deliveries that came after a later one of their key; copies of old records are no inversion."""
    last: dict[int, int] = {}
    known: set[int] = set()
    broken = 0
    for key, number in seen:
        if number not in known:
            broken += number < last.get(key, -1)
            last[key] = max(number, last.get(key, -1))
            known.add(number)
    return broken
