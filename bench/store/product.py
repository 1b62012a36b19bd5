"""The product's consumer of `metering-readings`, as `python -m services.portrait serve --role consumer` runs it.

`python -m bench.store.product GROUP RECORDS`: reads the topic from its beginning until RECORDS are committed.
The clock runs from the first commit to the last: joining the group is not part of it.
"""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Mapping

from bench.children import report
from services.kernel.broker import Consumer
from services.kernel.consumer import Applier, BulkLoop
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.portrait.manifest import SERVICE

PROFILE = SERVICE.bulk[0]


class TimedConsumer(Consumer):
    """Notes when each commit was done."""

    def __init__(self, *, settings: KernelSettings, group: str) -> None:
        super().__init__(settings=settings, group=group, topics=[PROFILE.topic])
        self.positions: dict[tuple[str, int], int] = {}
        self.stamps: list[tuple[float, int]] = []

    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        await super().commit(positions)
        self.positions.update(positions)
        self.stamps.append((time.perf_counter(), sum(self.positions.values())))


async def drain(group: str, records: int) -> None:
    settings = KernelSettings()
    consumer = TimedConsumer(settings=settings, group=group)
    database = Database(service=SERVICE.name, metadata=SERVICE.metadata, settings=settings)
    loop = BulkLoop(applier=Applier(service=SERVICE, database=database), consumer=consumer, profile=PROFILE)
    running = asyncio.create_task(loop.run())
    while not consumer.stamps or consumer.stamps[-1][1] < records:
        if running.done():
            raise RuntimeError("the loop ended") from running.exception()
        await asyncio.sleep(0.02)
    loop.running = False
    await running
    await database.close()
    (begun, before), (ended, done) = consumer.stamps[0], consumer.stamps[-1]
    report(records=done - before, seconds=ended - begun, transactions=len(consumer.stamps))


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)  # as services.kernel.run does
    asyncio.run(drain(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
