"""Promises of time: from the event on the broker to the provider's acceptance, steadily and in a storm."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.fanout.house import FanoutHouse, fanout_house
from bench.fanout.running import arrivals, engage, fault, record_of, running, say_steadily
from bench.frame import Benchmark, Measured, Size, Variant
from bench.stack import Stack
from services.kernel.broker import Producer

PER_SECOND = 200
P50_S, P99_S = 1.0, 5.0
STORM_S = 60.0
PART = 500
_RUNNING = "notify as it runs, one process for all roles, Apache Kafka, Postgres, a provider on loopback"


@asynccontextmanager
async def latency(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    """The ratio is how many times the measured times go into the promised ones; the worse of p50 and p99 counts."""
    seconds = 8 if size.quick else 60
    people, first = PER_SECOND * seconds, PER_SECOND * 2
    async with (
        fanout_house(stack, people=people, name="fanout_latency", broker=True) as house,
        running_with(stack, house) as producer,
    ):
        turn = iter(range(1_000))

        async def product() -> Measured:
            await house.clear()
            detected = await say_steadily(producer, range(people), per_second=PER_SECOND, name=f"O-{next(turn)}")
            arrived = await arrivals(house, people)
            # The first two seconds warm the process up.
            waits = sorted(arrived[openid] - at for openid, at in list(detected.items())[first:])
            p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
            return Measured(
                work=1, seconds=max(p50 / P50_S, p99 / P99_S), digests={"told once": str(people)},
                facts={"p50_ms": p50 * 1000, "p99_ms": p99 * 1000, "max_ms": waits[-1] * 1000},
            )  # fmt: skip

        yield [
            Variant(name="product", what=f"{_RUNNING}; {PER_SECOND} faults a second, a message each", run=product),
            Variant(name="promise", what="p50 1 s, p99 5 s", target=1.0, run=lambda: _promised(1.0, people)),
        ]


@asynccontextmanager
async def storm(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    people = 1_000 if size.quick else 5_000
    async with (
        fanout_house(stack, people=people, name="fanout_storm", broker=True) as house,
        running_with(stack, house) as producer,
    ):
        turn = iter(range(1_000))

        async def product() -> Measured:
            await house.clear()
            name, begun = f"O-storm-{next(turn)}", time.time()
            parts = [range(n, min(n + PART, people)) for n in range(0, people, PART)]
            events = [fault(part, name=name, part=k, parts=len(parts)) for k, part in enumerate(parts, 1)]
            assert all(await producer.send([record_of(e) for e in events]))
            arrived = await arrivals(house, people)
            return Measured(work=people, seconds=max(arrived.values()) - begun, digests={"told once": str(people)})

        yield [
            Variant(name="product", what=f"{_RUNNING}; one outage of {people} customers at once", run=product),
            Variant(
                name="promise", what="5,000 customers in 60 s", target=1.0,
                run=lambda: _promised(STORM_S * people / 5_000, people, work=people),
            ),
        ]  # fmt: skip


async def _promised(seconds: float, people: int, *, work: float = 1) -> Measured:
    await asyncio.sleep(0)
    return Measured(work=work, seconds=seconds, digests={"told once": str(people)})


@asynccontextmanager
async def running_with(stack: Stack, house: FanoutHouse) -> AsyncIterator[Producer]:
    await engage(house)
    async with running(stack, house):
        producer = Producer(settings=house.settings)
        await producer.send([])  # connected before many send at once
        try:
            yield producer
        finally:
            await producer.discard()


BENCHMARKS = (
    Benchmark(
        name="fanout-latency", summary="a fault's event until the provider has accepted", unit="bounds", open=latency
    ),
    Benchmark(name="fanout-storm", summary="a fault of thousands of customers", unit="messages", open=storm),
)
