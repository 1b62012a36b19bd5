"""`store-`: interval readings from the broker into Postgres exactly once, against the usual ways to do it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.frame import Benchmark, Size, Variant
from bench.stack import Stack
from bench.store.house import StoreHouse, store_house
from bench.store.load import DAYS, SLOTS, Load

PRODUCT = "portrait's consumer of metering-readings: bulk transactions into day blocks, offsets after the commit"
MESSAGE = (
    "FastStream handler and SQLAlchemy session, one message one transaction; rows, rollups, ON CONFLICT DO NOTHING"
)
BATCH = "the same handler with batch=True, {} messages a transaction"
COPY = "one COPY BINARY of the same readings, as rows, into the partitioned table with its primary key; no broker"


def _handlers(house: StoreHouse, *, target: float, at_once: int) -> list[Variant]:
    return [
        Variant(name="product", what=PRODUCT, run=house.product),
        Variant(name="faststream-message", what=MESSAGE, run=lambda: house.handler("message", "few"), target=target),
        Variant(
            name="faststream-batch",
            what=BATCH.format(at_once),
            run=lambda: house.handler("batch", "some", at_once=at_once),
        ),
    ]


@asynccontextmanager
async def day_curves(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    whole = Load(meters=4_000 if size.quick else 16_000, days=DAYS, slots=range(SLOTS), block=SLOTS, by_meter=True)
    tiers = {"few": 60, "some": 100} if size.quick else {"few": 400, "some": 600}
    async with store_house(stack, whole, meters=tiers, name="day_curves", twice=not size.quick) as house:
        copy = Variant(name="copy-binary", what=COPY, run=house.copy, target=0.6)
        yield [*_handlers(house, target=60, at_once=50), copy]


@asynccontextmanager
async def single_readings(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    meters = 3_000 if size.quick else 12_000
    whole = Load(meters=meters, days=DAYS[:1], slots=range(40, 52), block=1, by_meter=False)
    tiers = {"few": 50, "some": 400} if size.quick else {"few": 150, "some": 2_000}
    async with store_house(stack, whole, meters=tiers, name="single_readings", twice=not size.quick) as house:
        yield _handlers(house, target=60, at_once=500)


@asynccontextmanager
async def backlog(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    meters = 6_000 if size.quick else 24_000
    whole = Load(meters=meters, days=DAYS[:1], slots=range(40, 48), block=1, by_meter=True)
    tiers = {"few": 75, "some": 500} if size.quick else {"few": 190, "some": 3_000}
    async with store_house(stack, whole, meters=tiers, name="backlog", twice=not size.quick) as house:
        yield _handlers(house, target=300, at_once=500)


BENCHMARKS = (
    Benchmark(
        name="store-day-curves",
        summary="day curves of 96 readings, new days of all meters",
        unit="readings",
        open=day_curves,
    ),
    Benchmark(
        name="store-single-readings",
        summary="single readings in slot order: all meters' next slot, then the next",
        unit="readings",
        open=single_readings,
    ),
    Benchmark(
        name="store-backlog",
        summary="single readings after a gap: eight slots of a meter, then the next meter",
        unit="readings",
        open=backlog,
    ),
)
