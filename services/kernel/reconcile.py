"""After a restore: what the topics hold that the schema never heard, and what it said that the topics lack.

A database from a backup is older than the places its consumers have committed: nobody asks again for what was handled
in between. A broker from a backup lacks what was sent in between. Both are found by comparing, for each topic,
partition and hour, number and digest of the records in the log with those that inbox, dead letters and outbox know,
and are mended record by record. The service should be stopped meanwhile.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, tuple_

from services.kernel.broker import Consumer
from services.kernel.broker_log import Log, Stretch, open_log
from services.kernel.bulk import BulkLoop
from services.kernel.clock import SystemClock
from services.kernel.consumer import Applier
from services.kernel.errors import is_transient
from services.kernel.manifest import Service
from services.kernel.reconcile_said import Said, compare_said
from services.kernel.records import Record
from services.kernel.settings import KernelSettings
from services.kernel.wire import Attributes, Poison, attributes_of, attributes_of_deletion, body_hash
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork

LONGEST = timedelta(days=14)
"""Topics keep their records as long; the inbox remembers longer."""
CHUNK = 500


class UnusableSince(ValueError):
    """The moment lies ahead, or before what topics keep."""


@dataclass(kw_only=True)
class Bucket:
    """Number and digest of the records of one topic, partition and hour: in the log, and known to the schema."""

    records: int = 0
    digest: int = 0
    known_records: int = 0
    known_digest: int = 0

    def add(self, part: bytes, *, known: bool) -> None:
        """The digest is a sum, so the order of records does not matter."""
        number = int.from_bytes(hashlib.sha256(part).digest()[:16])
        self.records, self.digest = self.records + 1, (self.digest + number) % 2**128
        if known:
            self.known_records, self.known_digest = self.known_records + 1, (self.known_digest + number) % 2**128

    @property
    def whole(self) -> bool:
        return (self.records, self.digest) == (self.known_records, self.known_digest)


@dataclass(kw_only=True)
class Reconciled:
    """What was found and, where asked for, mended."""

    heard: dict[tuple[str, int, datetime], Bucket] = field(default_factory=lambda: defaultdict(Bucket))
    applied: int = 0
    repeated_in_bulk: int = 0
    lost: list[Stretch] = field(default_factory=list)
    said: Said = field(default_factory=Said)

    @property
    def unheard(self) -> int:
        return sum(bucket.records - bucket.known_records for bucket in self.heard.values())

    @property
    def open(self) -> bool:
        """Whether something is left for a person."""
        unheard, unsaid = self.unheard - self.applied, len(self.said.unsaid) - self.said.unpublished
        return bool(unheard or unsaid or self.lost or self.said.forgotten)

    def lines(self) -> Iterator[dict[str, Any]]:
        """One for each place that differs, then the sum."""
        for (topic, partition, hour), b in sorted(self.heard.items()):
            if not b.whole:
                yield {
                    "unheard": b.records - b.known_records, "topic": topic, "partition": partition,
                    "hour": hour.isoformat(), "in_log": [b.records, f"{b.digest:032x}"],
                    "known": [b.known_records, f"{b.known_digest:032x}"],
                }  # fmt: skip
        for s in self.lost:
            yield {"lost_from_log": s.lost, "topic": s.topic, "partition": s.partition, "log_ends_at": s.end}
        yield from self.said.lines()
        yield {
            "unheard": self.unheard, "applied": self.applied, "repeated_in_bulk": self.repeated_in_bulk,
            "unsaid": len(self.said.unsaid), "to_be_said_again": self.said.unpublished,
            "forgotten": len(self.said.forgotten), "already_said": self.said.already,
        }  # fmt: skip


def check_since(since: datetime, *, now: datetime) -> None:
    """Raises `UnusableSince`."""
    if since.tzinfo is None or not now - LONGEST <= since <= now:
        raise UnusableSince(
            f"--since 须带时区，且在最近 {LONGEST.days} 天内。"
            f" --since needs an offset from UTC and lies in the last {LONGEST.days} days."
        )


async def reconcile(*, service: Service, settings: KernelSettings, since: datetime, repair: bool) -> Reconciled:
    """Compare everything written at or after `since`. Raises `UnusableSince`."""
    check_since(since, now=SystemClock().now())  # records and outbox rows carry the wall clock, not business time
    database = Database(service=service.name, metadata=service.metadata, settings=settings)
    run = _Run(service=service, settings=settings, database=database, since=since, repair=repair)
    try:
        await run.heard()
        await run.bulk()
        await run.said()
    finally:
        await database.close()
    return run.found


def _identity(record: Record) -> Attributes | None:
    """None for what nobody can read: only a dead letter knows it."""
    try:
        return attributes_of_deletion(record) if record.value is None else attributes_of(record)
    except Poison:
        return None


class _Run:
    def __init__(
        self, *, service: Service, settings: KernelSettings, database: Database, since: datetime, repair: bool
    ) -> None:
        self._service = service
        self._settings = settings
        self._database = database
        self._since = since
        self._repair = repair
        self._applier = Applier(service=service, database=database)
        self.found = Reconciled()

    def _work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        cause = Cause(id=self._since.isoformat(), source="command-line", type="reconcile")
        actor = Actor(person_id="operator:command-line", role="system-administrator")
        return self._database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)

    async def heard(self) -> None:
        """Events of the single profile, each known by its inbox row or by the dead letter at its place."""
        if not self._service.consumes:
            return
        async with open_log(settings=self._settings, group=f"keyline-{self._service.name}") as log:
            async for batch in self._committed(log, list(self._service.single_topics), max_records=CHUNK):
                for record in await self._unknown(batch):
                    if self._repair:
                        await self._apply(record)
                        self.found.applied += 1

    async def _committed(self, log: Log, topics: list[str], *, max_records: int) -> AsyncIterator[list[Record]]:
        stretches = await log.stretches(topics, since=self._since, committed=True)
        self.found.lost += [s for s in stretches if s.lost]
        async for batch in log.read(stretches, max_records=max_records):
            yield batch

    async def _unknown(self, batch: list[Record]) -> list[Record]:
        """Those of the batch that left no trace; fills the buckets."""
        wanted = [(record, _identity(record)) for record in batch if self._listens(record)]
        async with self._work() as work:
            remembered = await self._remembered(work, [identity for _, identity in wanted if identity])
            missing = []
            for record, identity in wanted:
                digest = body_hash(record)
                name = (identity.source, identity.id) if identity else ("", "")
                known = remembered.get(name) == digest or await self._applier.buried_before(work, record)
                hour = datetime.fromtimestamp(record.timestamp_ms // 3_600_000 * 3600, UTC)
                bucket = self.found.heard[record.topic, record.partition, hour]
                bucket.add("|".join(name).encode() + digest, known=known)
                if not known:
                    missing.append(record)
        return missing

    def _listens(self, record: Record) -> bool:
        if record.value is None:
            return any(record.topic == c.event.TOPIC and c.deletion is not None for c in self._service.consumes)
        type_ = record.headers.get("ce_type")
        return not type_ or type_ in self._applier.contracts

    async def _remembered(self, work: UnitOfWork, some: Sequence[Attributes]) -> dict[tuple[str, str], bytes]:
        inbox = work.tables.inbox
        query = select(inbox.c.source, inbox.c.id, inbox.c.body_hash).where(
            inbox.c.consumer == self._applier.name,
            tuple_(inbox.c.source, inbox.c.id).in_([(a.source, a.id) for a in some]),
        )
        return {(source, id_): digest for source, id_, digest in await work.db.execute(query)}

    async def _apply(self, record: Record) -> None:
        try:
            await self._applier.apply(record)
        except Exception as error:
            if is_transient(error):
                raise
            await self._applier.refuse(record, Poison("handler-failed", type(error).__name__))

    async def bulk(self) -> None:
        """Bulk topics leave no inbox rows: all of the stretch is applied again, which changes nothing that is there."""
        for profile in self._service.bulk if self._repair else ():
            group = f"keyline-{self._service.name}-{profile.topic}"
            unused = Consumer(settings=self._settings, group=group, topics=[profile.topic])
            loop = BulkLoop(applier=self._applier, consumer=unused, profile=profile)
            async with open_log(settings=self._settings, group=group) as log:
                async for batch in self._committed(log, [profile.topic], max_records=profile.max_records):
                    for part in loop.by_size(batch):
                        await loop.apply_part(part)
                        self.found.repeated_in_bulk += len(part)

    async def said(self) -> None:
        topics = [t.name for t in self._service.topics]
        if not topics:
            return
        compacted = frozenset(t.name for t in self._service.topics if t.compacted)
        async with (
            open_log(settings=self._settings, group=f"keyline-{self._service.name}") as log,
            self._work() as work,
        ):
            self.found.said = await compare_said(
                work, log=log, topics=topics, compacted=compacted, since=self._since, repair=self._repair
            )
            if self._repair:
                await work.audit(action="reconciled", object_type="schema", object_id=self._service.name)
