"""Creation, sending, and keeping within a limit."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.fanout.house import FanoutHouse, fanout_house
from bench.frame import Benchmark, Measured, Size, Variant
from bench.stack import Stack
from services.notify.rules.limits import Limit

CREATE = "delivery.fanout: one INSERT..SELECT over the directory with the accounts of all, conflict-free"
ONE_BY_ONE = "two inserts and a commit for each recipient, prepared statements, one connection"
SEND = "notify's sender: claims of hundreds under lease, own connections, marked in batches with an event for each"
RAW = "the same bodies posted by an aiohttp loop of 64, without a database"
USUAL = "16 workers: FOR UPDATE SKIP LOCKED of one message, httpx POST, UPDATE and INSERT, commit"


@asynccontextmanager
async def creation(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    count, sample = (2_000, 300) if size.quick else (10_000, 1_500)
    async with fanout_house(stack, people=count, name="fanout_create") as house:
        yield [
            Variant(name="product", what=CREATE, run=lambda: house.create(count, sample=sample)),
            Variant(
                name="insert-per-recipient", what=ONE_BY_ONE, run=lambda: house.create_one_by_one(sample), target=30
            ),
        ]


@asynccontextmanager
async def sending(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    count, sample = (2_000, 200) if size.quick else (10_000, 800)
    async with fanout_house(stack, people=count, name="fanout_send") as house:
        yield [
            Variant(name="product", what=SEND, run=lambda: house.send(count, sample=sample, limits={})),
            Variant(name="raw-aiohttp", what=RAW, run=lambda: house.send_raw(count, sample=sample), target=0.55),
            Variant(name="transaction-and-httpx", what=USUAL, run=lambda: house.send_one_by_one(sample), target=15),
        ]


RATE, BURST = 200, 20


@asynccontextmanager
async def limited(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    seconds = 4 if size.quick else 10
    limit = Limit(name="second", provider="wechat", scope="account", burst=BURST, refill=RATE, window_s=1)
    async with fanout_house(stack, people=BURST + RATE * seconds, name="fanout_limit") as house:

        async def product() -> Measured:
            measured = await house.send(house.people, sample=house.people, limits={"wechat": (limit,)})
            arrived = await house.arrivals()
            worst = most_over(arrived, rate=RATE, burst=BURST)
            # The burst is there at the beginning: the rate is that of the messages after it.
            return Measured(
                work=RATE * seconds, seconds=arrived[-1] - arrived[0],
                digests={**measured.digests, "never above limit + burst": "yes" if worst <= 0 else f"{worst} over"},
                facts={"most_above_limit": worst},
            )  # fmt: skip

        yield [
            Variant(name="product", what=f"{SEND}; limit {RATE}/s, burst {BURST}", run=product),
            Variant(name="limit", what="the same bodies, a pacer that posts at the limit exactly", target=0.97,
                    run=lambda: _paced(house, seconds)),
        ]  # fmt: skip


async def _paced(house: FanoutHouse, seconds: int) -> Measured:
    measured = await house.send_raw(house.people, sample=house.people)
    await asyncio.sleep(0)
    return Measured(
        work=RATE * seconds, seconds=float(seconds),
        digests={**measured.digests, "never above limit + burst": "yes"},
    )  # fmt: skip


def most_over(arrived: Sequence[float], *, rate: float, burst: float) -> float:
    """How many messages more than burst + rate x time came in any window; the clock's millisecond is allowed for."""
    worst = -burst
    level, last = 0.0, arrived[0] if arrived else time.time()
    for at in arrived:
        level = max(level - (at - last + 0.001) * rate, 0.0) + 1
        last = at
        worst = max(worst, level - burst - rate * 0.1)  # a claim's messages arrive within a tenth of a second
    return round(worst, 1)


BENCHMARKS = (
    Benchmark(name="fanout-create", summary="messages of one happening stored", unit="messages", open=creation),
    Benchmark(name="fanout-send", summary="claim, send, mark", unit="messages", open=sending),
    Benchmark(name="fanout-limit", summary="a channel's limit used and kept", unit="messages", open=limited),
)
