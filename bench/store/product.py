"""The product's consumer of `metering-readings`, as `python -m services.portrait serve --role consumer` runs it.

`python -m bench.store.product GROUP RECORDS`: reads the topic from its beginning until RECORDS are committed.
The clock runs from the moment when all members have partitions, and connections to the database, to the last commit.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from bench.store.progress import Progress
from services.kernel.broker import Consumer
from services.kernel.bulk import BulkLoop
from services.kernel.consumer import Applier
from services.kernel.records import Record
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.portrait.manifest import SERVICE

PROFILE = SERVICE.bulk[0]


class Members:
    """The members of one run, and how far they are together."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.consumers: list[TimedConsumer] = []
        self.all_assigned = asyncio.Event()
        self._positions: dict[tuple[str, int], int] = {}

    def note(self, positions: Mapping[tuple[str, int], int]) -> None:
        self._positions.update(positions)
        self.progress.note(sum(self._positions.values()))

    def look_at_assignments(self) -> None:
        if all(consumer.assigned for consumer in self.consumers):
            self.progress.begin()
            self.all_assigned.set()


class TimedConsumer(Consumer):
    """Notes its commits; begins to poll when all members have partitions, as they have had for long in real life."""

    def __init__(self, *, settings: KernelSettings, group: str, members: Members) -> None:
        super().__init__(settings=settings, group=group, topics=[PROFILE.topic], packed=True)
        self._members = members
        members.consumers.append(self)

    @property
    def assigned(self) -> bool:
        return self._client is not None and bool(self._client.assignment())

    async def poll(self, *, max_records: int, timeout_ms: int) -> Sequence[Record]:
        if not self._members.all_assigned.is_set():
            await asyncio.sleep(0.01)
            self._members.look_at_assignments()
            return []
        return await super().poll(max_records=max_records, timeout_ms=timeout_ms)

    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        await super().commit(positions)
        self._members.note(positions)


async def connected(database: Database, count: int) -> None:
    """As the service has been for long when readings come."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(database.engine("worker").connect())


async def drain(group: str, records: int) -> None:
    settings = KernelSettings()
    database = Database(service=SERVICE.name, metadata=SERVICE.metadata, settings=settings)
    await connected(database, PROFILE.members)
    applier = Applier(service=SERVICE, database=database)
    members = Members()
    for _ in range(PROFILE.members):
        TimedConsumer(settings=settings, group=group, members=members)
    loops = [
        BulkLoop(applier=applier, consumer=consumer, profile=PROFILE, member=number)
        for number, consumer in enumerate(members.consumers)
    ]
    running = [asyncio.create_task(loop.run()) for loop in loops]
    while members.progress.done < records:
        for task in running:
            if task.done():
                raise RuntimeError("a loop ended") from task.exception()
        await asyncio.sleep(0.02)
    for loop in loops:
        loop.running = False
    await asyncio.gather(*running)
    await database.close()
    members.progress.report()


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)  # as services.kernel.run does
    asyncio.run(drain(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
