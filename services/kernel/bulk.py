"""The loop of a bulk topic: as many records as the profile allows in one transaction."""

import logging

from services.kernel import faults, metrics
from services.kernel.broker import Consumer
from services.kernel.consumer import Applier, Loop
from services.kernel.errors import is_transient
from services.kernel.failures import bury
from services.kernel.manifest import ConsumesInBulk, Rejected
from services.kernel.records import Record, by_type
from services.kernel.wire import Poison
from services.kernel.work import UnitOfWork

log = logging.getLogger(__name__)


class BulkLoop(Loop):
    """As many records as the profile allows in one transaction; a batch that raises is bisected under savepoints."""

    def __init__(self, *, applier: Applier, consumer: Consumer, profile: ConsumesInBulk, member: int = 0) -> None:
        name = f"bulk-{profile.topic}" + (f"-{member}" if member else "")
        super().__init__(applier=applier, consumer=consumer, name=name, max_records=profile.max_records)
        self.profile = profile

    async def handle(self, batch: list[Record]) -> None:
        if self.stopped_partitions:
            batch = [r for r in batch if (r.topic, r.partition) not in self.stopped_partitions]
        for part in self.by_size(batch):
            with metrics.HANDLER_SECONDS.labels(self.label, self.profile.topic).time():
                rejected = await self._patiently(lambda part=part: self.apply_part(part), what="database")
            self._note_part(part, guilty={id(r.record) for r in rejected})
            last = {record.partition: record for record in part}  # of one topic, and each partition in its order
            await self.consumer.commit({(r.topic, r.partition): r.offset + 1 for r in last.values()})
            faults.point("offset-committed")
            self._turned()

    def _note_part(self, part: list[Record], *, guilty: set[int]) -> None:
        if guilty:
            for record in part:
                self.note(record, "dead-lettered" if id(record) in guilty else "applied")
            return
        for type_, records in by_type(part).items():
            self._count(part[0].topic, type_, "applied", len(records))
        self.breaker.note_clean(part)

    def by_size(self, batch: list[Record]) -> list[list[Record]]:
        if sum(len(r.value or b"") for r in batch) <= self.profile.max_bytes:
            return [batch] if batch else []
        parts: list[list[Record]] = []
        size = 0
        for record in batch:
            length = len(record.value or b"")
            if not parts or size + length > self.profile.max_bytes:
                parts.append([])
                size = 0
            parts[-1].append(record)
            size += length
        return parts

    async def apply_part(self, part: list[Record]) -> list[Rejected]:
        async with self.applier.work(part[0]) as work:
            rejected = await self._bisect(work, part)
            for r in rejected:
                if not await self.applier.buried_before(work, r.record):
                    await bury(work, record=r.record, consumer=self.applier.name, poison=r.poison)
            return rejected

    async def _bisect(self, work: UnitOfWork, part: list[Record]) -> list[Rejected]:
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
