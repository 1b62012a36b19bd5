"""Consumers: one record per transaction (single) or many (bulk); the truth about progress is the inbox."""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

from aiokafka.errors import KafkaError

from services.kernel import faults, inbox, metrics
from services.kernel.breaker import Breaker
from services.kernel.broker import Consumer, Record
from services.kernel.errors import is_transient
from services.kernel.failures import bury, due_waiting, keep_waiting, take_waiting, wait_longer
from services.kernel.manifest import Consumes, Rejected, Service
from services.kernel.packed import oldest_ms
from services.kernel.together import apply_together, cause_of, runs
from services.kernel.wire import (
    Poison,
    WaitingFor,
    attributes_of,
    attributes_of_deletion,
    body_hash,
    check_time,
    decode,
    record_from_row,
)
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork

log = logging.getLogger(__name__)

HANDLER_ATTEMPTS = 5


class Applier:
    """Applies one record in one transaction; used by the poll loop, the waiting references and replays."""

    def __init__(self, *, service: Service, database: Database, name: str | None = None) -> None:
        self.service = service
        self.database = database
        self.name = name or service.name
        self.contracts = {c.event.TYPE: c for c in service.consumes}
        self.bulk = {event.TYPE: b for b in service.bulk for event in b.events}

    def work(self, record: Record):  # type: ignore[no-untyped-def]  # the context manager's type is Database.work's
        actor = Actor(person_id=f"system:{self.service.name}", role="system")
        return self.database.work(role="worker", cause=cause_of(record), actor=actor, scope=EVERYTHING)

    async def apply(self, record: Record) -> str:
        """The outcome. Raises only what waiting can cure, or a handler's unforeseen error."""
        try:
            async with self.work(record) as work:
                return await self._apply_in(work, record, repeated=False)
        except Poison as poison:
            return await self._refuse(record, poison)
        except WaitingFor as missing:
            async with self.work(record) as work:
                attributes = attributes_of(record)
                await inbox.remember(work, consumer=self.name, attributes=attributes, digest=body_hash(record))
                await keep_waiting(work, record=record, consumer=self.name, waiting_for=missing)
            return "waiting"

    async def refuse(self, record: Record, poison: Poison) -> str:
        return await self._refuse(record, poison)

    async def _refuse(self, record: Record, poison: Poison) -> str:
        log.warning(
            "dead letter: %s", poison.reason,
            extra={"topic": record.topic, "partition": record.partition, "offset": record.offset},
        )  # fmt: skip
        async with self.work(record) as work:
            try:
                heard = await inbox.remember(
                    work, consumer=self.name, attributes=attributes_of(record), digest=body_hash(record)
                )
            except Poison:
                heard = inbox.Heard.NEW  # no usable identity, or an id in conflict: kept once per offset
                if await self.buried_before(work, record):
                    heard = inbox.Heard.DUPLICATE
            if heard is inbox.Heard.NEW:
                await bury(work, record=record, consumer=self.name, poison=poison)
        return "dead-lettered"

    async def buried_before(self, work: UnitOfWork, record: Record) -> bool:
        d = work.tables.dead_letter
        query = d.select().where(
            d.c.consumer == self.name, d.c.topic == record.topic, d.c.partition == record.partition,
            d.c.offset == record.offset,
        )  # fmt: skip
        return (await work.db.execute(query)).first() is not None

    async def _apply_in(self, work: UnitOfWork, record: Record, *, repeated: bool) -> str:
        if record.value is None:
            return await self._apply_deletion(work, record, repeated=repeated)
        attributes = attributes_of(record)
        consumed = self.contracts.get(attributes.type)
        if consumed is None:
            return "ignored"
        check_time(attributes, window=consumed.window, now=work.now)
        event = decode(record, consumed.event)
        if not repeated:
            heard = await inbox.remember(work, consumer=self.name, attributes=attributes, digest=body_hash(record))
            if heard is inbox.Heard.DUPLICATE:
                return "duplicate"
            faults.point("after-inbox")
        if event.DELIVERY == "state" and not await inbox.is_newest(work, consumer=self.name, event=event):
            return "outdated"
        await consumed.handler(event, work=work)
        return "applied"

    async def _apply_deletion(self, work: UnitOfWork, record: Record, *, repeated: bool) -> str:
        """The key says which aggregate is gone; the type, where a source sends one, must not contradict it.

        A deletion told again is not done again: the aggregate may have come back meanwhile.
        """
        type_, key = record.headers.get("ce_type", ""), (record.key or b"").decode("utf-8", "replace")
        kinds = [c for c in self.service.consumes if record.topic == c.event.TOPIC and c.deletion is not None]
        for consumed in kinds:
            gone = consumed.event.id_in(key)
            if gone and consumed.deletion is not None and type_ in ("", consumed.event.TYPE):
                attributes = attributes_of_deletion(record)
                if (
                    not repeated
                    and await inbox.remember(work, consumer=self.name, attributes=attributes, digest=body_hash(record))
                    is inbox.Heard.DUPLICATE
                ):
                    return "duplicate"
                await consumed.deletion(gone, work=work)
                return "applied"
        if kinds and type_ in ("", *(c.event.TYPE for c in kinds)):
            forms = ", ".join(c.event.key_of("<id>") for c in kinds)
            raise Poison("foreign-key", f"deletion of {key!r} under {type_ or 'no type'}; keys here are {forms}")
        return "ignored"

    async def apply_kept(self, kept: dict[str, object], *, work: UnitOfWork) -> str:
        """Apply a waiting or replayed record in `work`; the inbox has it already."""
        record = record_from_row(kept)
        bulk = self.bulk.get(record.headers.get("ce_type", ""))
        if bulk is None:
            return await self._apply_in(work, record, repeated=True)
        rejected: Sequence[Rejected] = await bulk.handler([record], work=work)
        for r in rejected:
            raise r.poison
        return "applied"


class Loop:
    """A poll loop with back-off, watchdog mark, breaker and commit after the effect."""

    def __init__(self, *, applier: Applier, consumer: Consumer, name: str, max_records: int) -> None:
        self.applier = applier
        self.consumer = consumer
        self.name = name
        self.max_records = max_records
        self.breaker = Breaker()
        self.stopped_partitions: set[tuple[str, int]] = set()
        self.last_turn = time.monotonic()
        self.running = True
        self._held: list[Record] = []
        self._in_hand_ms = 0
        self._stopped_ms: dict[tuple[str, int], int] = {}

    @property
    def oldest_in_hand_ms(self) -> int:
        """When the oldest record not done yet was written, of those this loop holds or stopped at; 0 for none."""
        return min((ms for ms in (self._in_hand_ms, *self._stopped_ms.values()) if ms > 0), default=0)

    @property
    def label(self) -> str:
        return self.applier.service.name

    async def run(self) -> None:
        await self._patiently(self.consumer.start, what="broker-start")
        try:
            while self.running:
                self._turned()
                batch = self._held or await self._poll()
                self._held = []
                if batch:
                    self._in_hand_ms = oldest_ms(batch)
                    await self.handle(batch)
                    self._in_hand_ms = 0
        finally:
            await self.consumer.stop()

    async def _poll(self) -> Sequence[Record]:
        try:
            return await self.consumer.poll(max_records=self.max_records, timeout_ms=250)
        except KafkaError as error:
            metrics.RETRIES.labels(self.label, "poll").inc()
            log.warning("poll failed: %s", type(error).__name__)
            await asyncio.sleep(0.5)
            return []

    def _turned(self) -> None:
        self.last_turn = time.monotonic()

    async def handle(self, batch: Sequence[Record]) -> None:
        raise NotImplementedError

    async def _patiently(self, what_to_do, *, what: str):  # type: ignore[no-untyped-def]
        """Repeat while a dependency is away, polling on meanwhile so that the group keeps this member."""
        pause = 0.2
        while True:
            try:
                return await what_to_do()
            except Exception as error:
                if not (is_transient(error) or isinstance(error, KafkaError)):
                    raise
                metrics.RETRIES.labels(self.label, what).inc()
                log.warning("%s away, trying again in %.1f s: %s", what, pause, type(error).__name__)
            await self._stay_member(pause)
            pause = min(5.0, pause * 2)

    async def _stay_member(self, seconds: float) -> None:
        self._turned()
        try:
            self.consumer.pause()
            self._held.extend(await self.consumer.poll(max_records=1, timeout_ms=int(seconds * 1000)))
            self.consumer.resume()
        except (KafkaError, AssertionError):
            await asyncio.sleep(seconds)

    def note(self, record: Record, outcome: str) -> None:
        self._count(record.topic, record.headers.get("ce_type", ""), outcome, 1)
        if self.breaker.note(record, poisonous=outcome == "dead-lettered"):
            self.stop_partition(record)

    def _count(self, topic: str, type_: str, outcome: str, records: int) -> None:
        known = type_ in self.applier.contracts or type_ in self.applier.bulk
        metrics.EVENTS_HANDLED.labels(self.label, topic, type_ if known else "other", outcome).inc(records)

    def stop_partition(self, record: Record) -> None:
        log.error("too much poison: partition stopped", extra={"topic": record.topic, "partition": record.partition})
        self.stopped_partitions.add((record.topic, record.partition))
        self._stopped_ms[record.topic, record.partition] = record.timestamp_ms
        self.consumer.stop_partition(topic=record.topic, partition=record.partition)
        metrics.BREAKER_OPEN.labels(self.label, record.topic).set(1)


class SingleLoop(Loop):
    """At most 200 records a poll, each in its own transaction, or neighbours together where the manifest allows it."""

    async def handle(self, batch: Sequence[Record]) -> None:
        done: dict[tuple[str, int], int] = {}
        for run in runs(batch, self.applier.contracts):
            together = await self._together(run) if len(run) > 1 else None
            for n, record in enumerate(run):
                where = (record.topic, record.partition)
                if together is None:
                    if where in self.stopped_partitions or not self.running:
                        continue
                    faults.point("polled")
                    with metrics.HANDLER_SECONDS.labels(self.label, record.topic).time():
                        outcome = await self._apply(record)
                else:
                    outcome = together[n]
                self.note(record, outcome)
                done[where] = record.offset + 1
                self._turned()
        if done:
            await self.consumer.commit(done)
            faults.point("offset-committed")

    async def _together(self, run: list[Record]) -> list[str] | None:
        """None where each has to be applied alone: one of them is poison, waits for a reference, or failed."""
        if not self.running or any((r.topic, r.partition) in self.stopped_partitions for r in run):
            return None
        faults.point("polled")
        try:
            with metrics.HANDLER_SECONDS.labels(self.label, run[0].topic).time():
                return await apply_together(self.applier, run)
        except Exception as error:
            log.info("%d records are applied one by one: %s", len(run), type(error).__name__)
            return None

    async def _apply(self, record: Record) -> str:
        for attempt in range(1, HANDLER_ATTEMPTS + 1):
            try:
                return str(await self._patiently(lambda: self.applier.apply(record), what="database"))
            except Exception as error:
                log.exception("handler failed", extra={"topic": record.topic, "offset": record.offset})
                if attempt == HANDLER_ATTEMPTS:
                    poison = Poison("handler-failed", type(error).__name__)
                    refuse = partial(self.applier.refuse, record, poison)
                    return str(await self._patiently(refuse, what="database"))
                await self._stay_member(0.1 * 2**attempt)
        raise AssertionError("unreachable")


class Releaser:
    """Applies waiting events whose reference has arrived, and replayed dead letters."""

    def __init__(self, *, applier: Applier) -> None:
        self.applier = applier
        self.running = True

    async def run(self) -> None:
        while self.running:
            try:
                done = await self.turn()
            except Exception as error:
                if not is_transient(error):
                    log.exception("waiting references")
                metrics.RETRIES.labels(self.applier.service.name, "releaser").inc()
                done = 0
                await asyncio.sleep(1)
            if not done:
                await asyncio.sleep(0.2)

    async def turn(self) -> int:
        cause = Cause(id="waiting", source=f"keyline/{self.applier.service.name}", type="waiting-references")
        actor = Actor(person_id=f"system:{self.applier.service.name}", role="system")
        async with self.applier.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            due = await due_waiting(work)
        released = 0
        for waiting_id in due:
            released += await self._release(waiting_id)
        return released

    async def _release(self, waiting_id) -> int:  # type: ignore[no-untyped-def]
        kept = None
        record = Record(topic="", partition=0, offset=0, key=None, value=b"", headers={}, timestamp_ms=0)
        database, service = self.applier.database, self.applier.service
        try:
            async with database.work(
                role="worker", cause=cause_of(record), actor=Actor(person_id=f"system:{service.name}"), scope=EVERYTHING
            ) as work:
                kept = await take_waiting(work, waiting_id=waiting_id)
                if kept is None:
                    return 0
                record = record_from_row(kept)
                work.cause = cause_of(record)
                outcome = await self.applier.apply_kept(dict(kept), work=work)
        except WaitingFor as missing:
            async with self.applier.work(record) as work:
                await wait_longer(work, waiting_id=waiting_id, waiting_for=missing)
            return 0
        except Poison as poison:
            await self._bury(waiting_id, record, poison)
            return 1
        except Exception as error:
            if is_transient(error):
                raise
            log.exception("kept record failed")
            await self._bury(waiting_id, record, Poison("handler-failed", type(error).__name__))
            return 1
        metrics.EVENTS_HANDLED.labels(service.name, record.topic, "released", outcome).inc()
        return 1

    async def _bury(self, waiting_id, record: Record, poison: Poison) -> None:  # type: ignore[no-untyped-def]
        async with self.applier.work(record) as work:
            if await take_waiting(work, waiting_id=waiting_id) is not None:
                await bury(work, record=record, consumer=self.applier.name, poison=poison)


def single_loop(*, applier: Applier, consumer: Consumer) -> SingleLoop:
    return SingleLoop(applier=applier, consumer=consumer, name="single", max_records=200)


__all__ = ["Applier", "Consumes", "Releaser", "single_loop"]
