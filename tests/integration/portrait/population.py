"""Customers with measured-looking months for tests of scoring, stored through the service's own writer."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from services.kernel.work import EVERYTHING, Actor, Cause
from services.portrait.metering.store import store_blocks
from services.portrait.rules.day_block import MISSING, WIDTH, BlockKey, Slots
from services.portrait.rules.merge import OfferBatch
from tests.integration.portrait.house import Portrait, numbers

ACTIVE, LAGGING = 1, 3


def curve_batch(
    point: str, *, first: date, energy_wh: np.ndarray, channel: int = ACTIVE, step: int = 60, revision: int = 0
) -> OfferBatch:
    """`energy_wh` is (days, slots), MISSING where nothing is said."""
    days, slots = energy_wh.shape
    keys = [BlockKey(point, channel, first + timedelta(days=n), step) for n in range(days)]
    cells = (np.arange(days)[:, None] * WIDTH + np.arange(slots)).reshape(-1)
    values = energy_wh.reshape(-1)
    said = values != MISSING
    count = int(said.sum())
    source = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    return OfferBatch(
        keys=keys,
        cells=cells[said],
        offers=Slots(
            value=values[said].astype(np.int32),
            quality=np.full(count, 5, np.uint8),
            revision=np.full(count, revision, np.int32),
            source_time_us=np.full(count, source, np.int64),
            tie=np.full(count, 7, np.uint32),
        ),
    )


async def store(portrait: Portrait, batches: Sequence[OfferBatch]) -> None:
    cause = Cause(id=f"curves-{next(numbers)}", source="tests", type="curves")
    actor = Actor(person_id="system:portrait")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        for batch in batches:
            await store_blocks(await work.raw(), batch)


def shape(rng: np.random.Generator, *, days: int, slots: int = 24) -> np.ndarray:
    """A working day with noise, weekends lower, sometimes with a gap."""
    hour = np.arange(slots) * 24 / slots
    day = 40_000 + 160_000 * ((hour >= 8) & (hour < rng.integers(12, 24)))
    energy = (day * rng.uniform(0.7, 1.3, (days, slots)) * rng.uniform(0.2, 5)).astype(np.int64)
    energy[::7] //= 4
    energy[rng.random(energy.shape) < rng.choice([0.0, 0.002, 0.02])] = MISSING
    return energy
