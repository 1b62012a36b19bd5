"""What aiokafka has fetched, as our records or, for a bulk topic, as the bytes they came in (docs/adr/0008).

The rest of aiokafka's fetching stays: positions, rebalances, back-off. What is replaced here is how bytes become
records, and only for consumers that have a `Plain` in the place of their deserializer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from services.kernel.packed import Area
from services.kernel.records import Headers, Record
from services.kernel.varints import UnreadableRecords, read_varint, record_bounds

_FORMAT_2 = 2
_MAGIC_AT = 16
_BATCH_HEADER = 61
_APPENDED = 1
_NEVER = -1
"""No offset: aiokafka drops what was fetched and fetches again."""


class Plain(dict[str, str]):
    """In the place of a deserializer: marks the consumers of the port, and tells the topic without the prefix."""

    def __init__(self, topics: Sequence[str], *, prefix: str, unread: bool) -> None:
        super().__init__({prefix + topic: topic for topic in topics})
        self.unread = unread
        """Whether the consumer takes `Taken` instead of records."""


_record_of_aiokafka = PartitionRecords._consumer_record


def _plain_record(self: PartitionRecords, partition: TopicPartition, record: Any) -> Any:
    """Our record at once: aiokafka's own is as dear to make as all the rest of reading it, and would be thrown away."""
    plain = self._value_deserializer
    if type(plain) is not Plain:
        return _record_of_aiokafka(self, partition, record)
    return Record(
        topic=plain[partition.topic],
        partition=partition.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=Headers(record.headers),
        timestamp_ms=record.timestamp,
    )


class Taken(Sequence[Area]):
    """Areas of one partition; its length is the number of records, which is what aiokafka counts."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self.areas = areas

    def __len__(self) -> int:
        return sum(len(area.starts) for area in self.areas)

    def __getitem__(self, index: Any) -> Any:
        return self.areas[index]


class _Kept(MemoryRecords):  # type: ignore[misc]
    """aiokafka's reader of a fetch, which does not show the bytes it was given."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class Batches:
    """What is left of one fetch of one partition."""

    def __init__(self, data: bytes, *, partition: int, first_offset: int) -> None:
        self._partition = partition
        self._slices = _slices(data)
        self._left: Area | None = None
        self._behind = 0
        self.next_offset = first_offset
        self.over = False

    def take(self, most: int | None) -> list[Area]:
        """At most so many records. Raises aiokafka's CorruptRecordException."""
        areas: list[Area] = []
        room = 2**62 if most is None else most
        while room > 0 and not self.over:
            area = self._left or self._next_batch()
            if area is None:
                continue
            part = area if len(area.starts) <= room else _cut(area, 0, room)
            self._left = None if part is area else _cut(area, room, len(area.starts))
            self.next_offset = self._behind if self._left is None else _offset_of_last(part) + 1
            room -= len(part.starts)
            areas.append(part)
        return areas

    def _next_batch(self) -> Area | None:
        """None for a batch without records for us, and at the end of all."""
        data = next(self._slices, None)
        if data is None:
            self.over = True
            return None
        batch = _DefaultRecordBatchPy(data)
        if not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - partition {self._partition}")
        self._behind = batch.next_offset
        if batch.is_control_batch or not batch._num_records:
            self.next_offset = batch.next_offset
            return None
        batch._maybe_uncompress()
        records = bytes(memoryview(batch._buffer)[batch._pos :])  # quicker to index
        try:
            starts, ends = record_bounds(records, batch._num_records)
        except UnreadableRecords as error:
            raise CorruptRecordException(f"partition {self._partition}: {error}") from error
        return Area(
            partition=self._partition, data=records, starts=starts, ends=ends, base_offset=batch.base_offset,
            base_ms=batch.first_timestamp, first_offset=self.next_offset,
            appended_ms=batch.max_timestamp if batch.timestamp_type == _APPENDED else None,
        )  # fmt: skip


def _slices(data: bytes) -> Iterator[memoryview]:
    """Whole batches; a fetch may end within one."""
    at, view = 0, memoryview(data)
    while at + _BATCH_HEADER <= len(data):
        end = at + 12 + int.from_bytes(view[at + 8 : at + 12])
        if end > len(data):
            return
        yield view[at:end]
        at = end


def _cut(area: Area, first: int, stop: int) -> Area:
    begin, end = area.ends[first - 1] if first else 0, area.ends[stop - 1]
    return Area(
        partition=area.partition, data=memoryview(area.data)[begin:end],
        starts=[at - begin for at in area.starts[first:stop]], ends=[at - begin for at in area.ends[first:stop]],
        base_offset=area.base_offset, base_ms=area.base_ms, appended_ms=area.appended_ms,
        first_offset=area.first_offset,
    )  # fmt: skip


def _offset_of_last(area: Area) -> int:
    _, at = read_varint(area.data, area.starts[-1] + 1)
    delta, _ = read_varint(area.data, at)
    return area.base_offset + delta


_getall = FetchResult.getall


def _take_unread(self: FetchResult, max_records: int | None = None) -> Any:
    """In the place of `getall`."""
    records = self._partition_records
    batches = None if records is None else _unread_of(records, self._topic_partition.partition)
    if batches is None:
        return _getall(self, max_records)
    if not self.check_assignment(self._topic_partition):
        return []
    try:
        areas = batches.take(max_records)
    except CorruptRecordException:
        records.next_fetch_offset = _NEVER
        raise
    records.next_fetch_offset = batches.next_offset
    self._update_position()
    if batches.over:
        self._partition_records = None
    return Taken(areas)


def _unread_of(records: PartitionRecords, partition: int) -> Batches | None:
    """None if aiokafka shall read them itself: for others, and batches in the format of before Kafka 0.11."""
    plain = records._value_deserializer
    if type(plain) is not Plain or not plain.unread:
        return None
    if not hasattr(records, "batches"):
        data = records._records.data
        old = any(batch[_MAGIC_AT] < _FORMAT_2 for batch in _slices(data))
        records.batches = None if old else Batches(data, partition=partition, first_offset=records.next_fetch_offset)
    found: Batches | None = records.batches
    return found


fetcher.MemoryRecords = _Kept
FetchResult.getall = _take_unread
PartitionRecords._consumer_record = _plain_record
