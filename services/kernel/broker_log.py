"""Reading a stretch of topics again without joining a group: nobody's place moves."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from services.kernel.broker_login import connection
from services.kernel.records import Headers, Record
from services.kernel.settings import KernelSettings

SILENT_POLLS = 40
POLL_MS = 500


class LogEndsEarly(Exception):
    """The broker told an end that it does not deliver the records up to."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Records `first <= offset < end` of one partition; `lost` were committed and are no longer in the log."""

    topic: str
    partition: int
    first: int
    end: int
    lost: int = 0


class Log:
    """Made by `open_log`."""

    def __init__(self, *, client: AIOKafkaConsumer, settings: KernelSettings) -> None:
        self._client = client
        self._settings = settings

    async def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**connection(self._settings), request_timeout_ms=10_000)
        await admin.start()
        try:
            told = await admin.describe_topics([self._settings.topic_prefix + topic for topic in topics])
        finally:
            await admin.close()
        for topic in told:
            if topic["error_code"]:
                raise for_code(topic["error_code"])(topic["topic"])
        return [TopicPartition(t["topic"], p["partition"]) for t in told for p in t["partitions"]]

    async def stretches(self, topics: Iterable[str], *, since: datetime, committed: bool) -> list[Stretch]:
        """From the first record written at `since` to the end, or to where the group has committed."""
        partitions = sorted(await self._partitions(topics))
        if not partitions:
            return []
        moment = int(since.timestamp() * 1000)
        starts = await self._client.offsets_for_times(dict.fromkeys(partitions, moment))
        ends = await self._client.end_offsets(partitions)
        found = []
        for partition in partitions:
            end, lost = ends[partition], 0
            if committed:
                place = await self._client.committed(partition) or 0
                end, lost = min(end, place), max(0, place - end)
            start = starts[partition]
            found.append(
                Stretch(
                    topic=partition.topic.removeprefix(self._settings.topic_prefix),
                    partition=partition.partition,
                    first=min(end, start.offset if start is not None else end),
                    end=end,
                    lost=lost,
                )
            )
        return found

    async def read(self, stretches: Iterable[Stretch], *, max_records: int) -> AsyncIterator[list[Record]]:
        """In the order of each partition. Raises `LogEndsEarly`."""
        prefix = self._settings.topic_prefix
        ends = {TopicPartition(prefix + s.topic, s.partition): s for s in stretches if s.first < s.end}
        self._client.assign(list(ends))
        for partition, stretch in ends.items():
            self._client.seek(partition, stretch.first)
        silent = 0
        while ends:
            fetched = await self._client.getmany(*ends, timeout_ms=POLL_MS, max_records=max_records)
            silent = 0 if fetched else silent + 1
            if silent > SILENT_POLLS:
                raise LogEndsEarly(", ".join(f"{p.topic}[{p.partition}]" for p in ends))
            batch = [
                Record(
                    topic=ends[partition].topic,
                    partition=r.partition,
                    offset=r.offset,
                    key=r.key,
                    value=r.value,
                    headers=Headers(r.headers),
                    timestamp_ms=r.timestamp,
                )
                for partition, records in fetched.items()
                for r in records
                if r.offset < ends[partition].end
            ]
            if batch:
                yield batch
            done = [p for p in ends if await self._client.position(p) >= ends[p].end]
            ends = {p: s for p, s in ends.items() if p not in done}


@asynccontextmanager
async def open_log(*, settings: KernelSettings, group: str) -> AsyncIterator[Log]:
    """`group` is the one whose committed places can be asked for; it is not joined."""
    client = AIOKafkaConsumer(
        **connection(settings),
        group_id=settings.topic_prefix + group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        request_timeout_ms=10_000,
    )
    try:
        await client.start()
        yield Log(client=client, settings=settings)
    finally:
        await client.stop()
