"""The loop of a bulk topic: as many records as the profile allows in one transaction."""

import logging
from collections.abc import Sequence
from itertools import pairwise

from services.kernel import faults, metrics
from services.kernel.broker import Consumer
from services.kernel.consumer import Applier, Loop
from services.kernel.errors import is_transient
from services.kernel.failures import bury
from services.kernel.manifest import ConsumesInBulk, Rejected
from services.kernel.packed import Packed, packed
from services.kernel.records import Record
from services.kernel.wire import Poison
from services.kernel.work import UnitOfWork

log = logging.getLogger(__name__)


class BulkLoop(Loop):
    """As many records as the profile allows in one transaction; a batch that raises is bisected under savepoints."""

    def __init__(self, *, applier: Applier, consumer: Consumer, profile: ConsumesInBulk, member: int = 0) -> None:
        name = f"bulk-{profile.topic}" + (f"-{member}" if member else "")
        super().__init__(applier=applier, consumer=consumer, name=name, max_records=profile.max_records)
        self.profile = profile

    async def handle(self, batch: Sequence[Record]) -> None:
        records = packed(batch)  # of one topic, as all that this loop polls
        for stopped in self.stopped_partitions:
            records = records.of_rows(records.partition != stopped[1])
        for part in self.by_size(records):
            with metrics.HANDLER_SECONDS.labels(self.label, self.profile.topic).time():
                rejected = await self._patiently(lambda part=part: self.apply_part(part), what="database")
            self._note_part(part, guilty={_place(r.record) for r in rejected})
            await self.consumer.commit(part.positions())
            faults.point("offset-committed")
            self._turned()

    def _note_part(self, part: Packed, *, guilty: set[tuple[int, int]]) -> None:
        if guilty:
            for record in part:
                self.note(record, "dead-lettered" if _place(record) in guilty else "applied")
            return
        for type_, records in part.by_type().items():
            self._count(part.topic, type_, "applied", len(records))
        self.breaker.note_clean(part)

    def by_size(self, batch: Sequence[Record]) -> list[Packed]:
        if not batch:
            return []
        batch = packed(batch)
        sizes = batch.sizes
        if int(sizes.sum()) <= self.profile.max_bytes:
            return [batch]
        starts, held = [0], 0
        for row, size in enumerate(sizes.tolist()):
            if held and held + size > self.profile.max_bytes:
                starts.append(row)
                held = 0
            held += size
        return [batch[start:stop] for start, stop in pairwise([*starts, len(batch)])]

    async def apply_part(self, part: Packed) -> list[Rejected]:
        async with self.applier.work(part[0]) as work:
            rejected = await self._bisect(work, part)
            for r in rejected:
                if not await self.applier.buried_before(work, r.record):
                    await bury(work, record=r.record, consumer=self.applier.name, poison=r.poison)
            return rejected

    async def _bisect(self, work: UnitOfWork, part: Packed) -> list[Rejected]:
        try:
            async with work.db.begin_nested():
                return list(await self.profile.handler(part, work=work))
        except Exception as error:
            if is_transient(error):
                raise
            if len(part) == 1:
                poison = error if isinstance(error, Poison) else Poison("handler-failed", type(error).__name__)
                log.warning("record rejected from batch: %s", poison.reason, exc_info=error)
                return [Rejected(record=part[0], poison=poison)]
        middle = len(part) // 2
        return await self._bisect(work, part[:middle]) + await self._bisect(work, part[middle:])


def _place(record: Record) -> tuple[int, int]:
    return record.partition, record.offset
