"""The port to the broker. All aiokafka calls live here and in fetched.py; the settings answer its known pitfalls
(docs/adr/0001)."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CommitFailedError, GroupLoadInProgressError, KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from services.kernel.broker_login import connection
from services.kernel.fetched import Plain, Taken
from services.kernel.packed import pack
from services.kernel.records import Record
from services.kernel.settings import KernelSettings

log = logging.getLogger(__name__)

__all__ = [
    "MAX_RECORD_BYTES",
    "Consumer",
    "OffsetsOutOfRange",
    "Outgoing",
    "Producer",
    "Record",
    "TopicSpec",
    "ensure_topics",
    "existing_topics",
]

MAX_RECORD_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    topic: str
    key: bytes
    value: bytes | None
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """What a topic is created with; partition counts never change afterwards."""

    name: str
    partitions: int = 6
    retention_days: int = 14
    compacted: bool = False


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What start-up may demand of a broker."""

    idempotent_producer: bool
    topic_configs: bool
    survives_restart: bool
    exact_end_offsets: bool


CAPABILITIES = {
    "kafka": Capabilities(idempotent_producer=True, topic_configs=True, survives_restart=True, exact_end_offsets=True),
    "external": Capabilities(
        idempotent_producer=True, topic_configs=True, survives_restart=True, exact_end_offsets=True
    ),
    "tansu": Capabilities(
        idempotent_producer=False, topic_configs=False, survives_restart=False, exact_end_offsets=False
    ),
}


_send_to_coordinator = GroupCoordinator._send_req


async def _send_and_check(self: GroupCoordinator, request: Any) -> Any:
    """aiokafka overlooks the answer's own error, takes "ask again" for "never committed" and starts over (ADR 1)."""
    answer = await _send_to_coordinator(self, request)
    code: int = answer.error_code if isinstance(request, OffsetFetchRequest) and hasattr(answer, "error_code") else 0
    if code:
        error = for_code(code)
        if error is not GroupLoadInProgressError:
            self.coordinator_dead()
        raise error("the coordinator did not tell the committed offsets")
    return answer


GroupCoordinator._send_req = _send_and_check


class OffsetsOutOfRange(Exception):
    """The committed position is no longer in the log: records may be lost, so nothing is skipped silently."""


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, owner: "Consumer") -> None:
        self._owner = owner

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._owner.generation += 1

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        # Only noted: aiokafka logs what a listener raises and goes on, so the check is made where it can stop a poll.
        self._owner.unchecked |= set(assigned)


class Consumer:
    """A group member that polls, pauses and commits; never auto-commits, never iterates.

    `packed`: of one topic, whose records come as `Packed` (nearly always; batches of before Kafka 0.11 do not).
    """

    def __init__(self, *, settings: KernelSettings, group: str, topics: Sequence[str], packed: bool = False) -> None:
        self._prefix = settings.topic_prefix
        self._plain = Plain(topics, prefix=self._prefix, unread=packed)
        self._settings = settings
        self.group = self._prefix + group
        self._client: AIOKafkaConsumer | None = None
        self._paused: set[TopicPartition] = set()
        self._failure: OffsetsOutOfRange | None = None
        self._fetched: dict[TopicPartition, list[Any]] = {}
        self.unchecked: set[TopicPartition] = set()
        self.generation = 0

    @property
    def client(self) -> AIOKafkaConsumer:
        assert self._client is not None, "the consumer is not started"
        return self._client

    async def start(self) -> None:
        session = self._settings.session_timeout_ms
        self._client = AIOKafkaConsumer(
            **connection(self._settings),
            group_id=self.group,
            client_id=f"{self.group}-{self._settings.instance}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session,
            heartbeat_interval_ms=max(300, session // 4),
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=self._settings.max_poll_interval_ms,
            metadata_max_age_ms=10_000,
            max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
            fetch_max_wait_ms=100,
            request_timeout_ms=10_000,
            value_deserializer=self._plain,
        )
        self._fetched, self.unchecked = {}, set()
        self._client.subscribe(list(self._plain), listener=_Assignment(self))
        await self._client.start()

    async def _check_positions(self) -> None:
        """Refuse to go on where the log no longer holds what was committed (retention overtook, topic re-created)."""
        partitions = sorted(self.unchecked & self.client.assignment())
        if partitions:
            client = self.client
            # Committed before the ends: others may write and commit in between, and ends only grow.
            committed = {partition: await client.committed(partition) for partition in partitions}
            first = await client.beginning_offsets(partitions)
            last = await client.end_offsets(partitions)
            exact = CAPABILITIES[self._settings.broker_kind].exact_end_offsets
            for partition, offset in committed.items():
                if offset is not None and not first[partition] <= offset <= (last[partition] if exact else offset):
                    self._failure = OffsetsOutOfRange(
                        f"{partition.topic}[{partition.partition}]: committed {offset}, "
                        f"log holds {first[partition]}..{last[partition]}; inspect, then reset the group by hand"
                    )
        self.unchecked -= set(partitions)
        if self._failure:
            raise self._failure

    async def poll(self, *, max_records: int, timeout_ms: int) -> Sequence[Record]:
        """Up to `max_records` of all assigned, unpaused partitions; raises `OffsetsOutOfRange`, `KafkaError`."""
        await self._check_positions()
        if not self._fetched:
            self._fetched = await self.client.getmany(timeout_ms=timeout_ms, max_records=max_records)
        await self._check_positions()  # an assignment may have come meanwhile; if this raises, the records are kept
        found, self._fetched = self._fetched, {}
        return self._records_of(found)

    def _records_of(self, found: Mapping[TopicPartition, Sequence[Any]]) -> Sequence[Record]:
        areas = [area for taken in found.values() if isinstance(taken, Taken) for area in taken.areas]
        others = [record for taken in found.values() if not isinstance(taken, Taken) for record in taken]
        if not areas:
            return others
        unread = pack(next(iter(self._plain.values())), areas)
        return [*unread, *others] if others else unread

    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Tell the broker the next offsets. A lost commit is only logged: the inbox knows what was done."""
        offsets = {TopicPartition(self._prefix + t, p): offset for (t, p), offset in positions.items()}
        try:
            await asyncio.wait_for(self.client.commit(offsets), timeout=5)
        except (CommitFailedError, KafkaError, TimeoutError) as error:
            log.warning("offset commit lost, records may come again: %s", type(error).__name__)
        except Exception as error:  # aiokafka: IllegalStateError for partitions just revoked
            log.warning("offset commit refused: %s", error)

    def pause(self) -> None:
        assigned = self.client.assignment()
        self.client.pause(*assigned)

    def resume(self) -> None:
        self.client.resume(*[p for p in self.client.assignment() if p not in self._paused])

    def stop_partition(self, *, topic: str, partition: int) -> None:
        tp = TopicPartition(self._prefix + topic, partition)
        self._paused.add(tp)
        if tp in self.client.assignment():
            self.client.pause(tp)

    async def lag(self) -> dict[str, int]:
        """Records between committed position and end, by topic; asks the broker, so not for hot loops."""
        assigned = list(self.client.assignment())
        if not assigned:
            return {}
        ends = await self.client.end_offsets(assigned)
        result: dict[str, int] = {}
        for partition in assigned:
            committed = await self.client.committed(partition) or 0
            topic = partition.topic[len(self._prefix) :]
            result[topic] = result.get(topic, 0) + max(0, ends[partition] - committed)
        return result

    async def stop(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            try:
                await asyncio.wait_for(client.stop(), timeout=5)
            except (TimeoutError, KafkaError) as error:
                log.warning("consumer did not stop in time: %s", type(error).__name__)


class Producer:
    """Sends with an outer deadline; a producer that failed is thrown away, for it may never recover by itself."""

    def __init__(self, *, settings: KernelSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaProducer | None = None

    async def _ready(self) -> AIOKafkaProducer:
        if self._client is None:
            client = AIOKafkaProducer(
                **connection(self._settings),
                acks="all",
                enable_idempotence=CAPABILITIES[self._settings.broker_kind].idempotent_producer,
                request_timeout_ms=5_000,
                max_request_size=MAX_RECORD_BYTES,
                metadata_max_age_ms=10_000,
            )
            await asyncio.wait_for(client.start(), timeout=10)
            self._client = client
        return self._client

    async def send(self, batch: Sequence[Outgoing], *, deadline_s: float = 10) -> list[bool]:
        """Whether each record was acknowledged, in order. False also means "unknown": it may have been written."""
        try:
            client = await self._ready()
            async with asyncio.timeout(deadline_s):
                futures = [
                    await client.send(
                        self._settings.topic_prefix + o.topic,
                        value=o.value,
                        key=o.key,
                        headers=[(name, value.encode()) for name, value in o.headers.items()],
                    )
                    for o in batch
                ]
                results = await asyncio.gather(*futures, return_exceptions=True)
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("broker did not take the batch: %s", type(error).__name__)
            await self.discard()
            return [False] * len(batch)
        if any(isinstance(r, BaseException) for r in results):
            await self.discard()
        return [not isinstance(r, BaseException) for r in results]

    async def discard(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            try:
                await asyncio.wait_for(client.stop(), timeout=3)
            except (TimeoutError, KafkaError, OSError) as error:
                log.warning("producer abandoned: %s", type(error).__name__)


async def existing_topics(*, settings: KernelSettings) -> set[str]:
    admin = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=10_000)
    await admin.start()
    try:
        return {
            t[len(settings.topic_prefix) :] for t in await admin.list_topics() if t.startswith(settings.topic_prefix)
        }
    finally:
        await admin.close()


async def ensure_topics(specs: Sequence[TopicSpec], *, settings: KernelSettings) -> list[str]:
    """Create what is missing and name it. Existing topics are left as they are."""
    capable = CAPABILITIES[settings.broker_kind]
    have = await existing_topics(settings=settings)
    missing = [s for s in specs if s.name not in have]
    if not missing:
        return []
    admin = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=10_000)
    await admin.start()
    try:
        answer: Any = await admin.create_topics(
            [
                NewTopic(
                    settings.topic_prefix + s.name,
                    num_partitions=s.partitions,
                    replication_factor=-1 if settings.broker_kind == "external" else 1,
                    topic_configs=_topic_configs(s) if capable.topic_configs else {},
                )
                for s in missing
            ]
        )
        for name, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"cannot create topic {name}")
    finally:
        await admin.close()
    return [s.name for s in missing]


COMPACTION_LAG = timedelta(days=1)
"""How long a superseded state, or that of somebody erased, may stay in a topic where records still come.

Without it a broker cleans a quiet topic when half of it is old, which may be never.
"""


def _topic_configs(spec: TopicSpec) -> dict[str, str]:
    if spec.compacted:
        lag_ms = int(COMPACTION_LAG.total_seconds() * 1000)
        return {
            "cleanup.policy": "compact", "max.message.bytes": str(MAX_RECORD_BYTES),
            "max.compaction.lag.ms": str(lag_ms),
        }  # fmt: skip
    return {"retention.ms": str(spec.retention_days * 86_400_000), "max.message.bytes": str(MAX_RECORD_BYTES)}
