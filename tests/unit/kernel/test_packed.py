"""Batches of the broker read by columns: the same records that aiokafka finds, whatever is in them."""

import random
from typing import Any

import numpy as np
import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from services.kernel.fetched import Batches
from services.kernel.packed import Area, Packed, by_type, oldest_ms, pack, packed
from services.kernel.records import Headers, Record
from services.kernel.varints import UnreadableRecords, read_varint, read_varints, record_bounds, written_varint

GZIP = 1
BASE_MS = 1_782_000_000_000
SEED = 20260703


def content(rng: random.Random, n: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    """Mostly alike, as of one source, with all that the format allows between."""
    key: bytes | None = b"UP-%d" % (n // 8)
    value: bytes | None = b'{"n":%d}' % n
    headers: list[tuple[str, bytes | None]] = [("ce_id", b"id-%06d" % n), ("ce_type", b"counted")]
    match rng.randrange(12):
        case 0:
            key, value = rng.choice([None, b""]), rng.choice([None, b"", b"x" * rng.choice([7_000, 9_000, 200_000])])
        case 1:
            headers += [("电", None), ("empty", b""), ("ce_id", b"again")]
        case 2:
            headers = rng.choice([[], headers[1:], [("ce_type", b"other")], [("ce_type", None)]])
    return key, value, headers


def batch_of(rng: random.Random, count: int, *, base: int, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 30)
    for n in range(count):
        key, value, headers = content(rng, n)
        assert builder.append(n, BASE_MS + rng.choice([n, -n, n * 10_000_000]), key, value, headers) is not None
    return base.to_bytes(8) + bytes(builder.build())[8:]


def read_by_aiokafka(fetched: bytes) -> list[Record]:
    found, batches = [], MemoryRecords(fetched)
    while batches.has_next():
        found += [
            Record(topic="t", partition=3, offset=r.offset, key=r.key, value=r.value, headers=Headers(r.headers),
                   timestamp_ms=r.timestamp)
            for r in batches.next_batch()
        ]  # fmt: skip
    return found


def taken(fetched: bytes, *, first_offset: int = 0, most: int | None = None) -> list[Packed]:
    batches, found = Batches(fetched, partition=3, first_offset=first_offset), []
    while not batches.over:
        found.append(pack("t", batches.take(most)))
        assert batches.next_offset >= (found[-1].positions() or {("t", 3): 0})["t", 3]
    return found


@pytest.mark.parametrize("compression", [0, GZIP])
@pytest.mark.parametrize("most", [None, 1, 7, 64, 1_000])
def test_the_records_are_those_that_aiokafka_reads(compression: int, most: int | None) -> None:
    rng = random.Random(SEED)
    fetched = b"".join(
        batch_of(rng, count, base=base, compression=compression)
        for base, count in ((0, 1), (1, 150), (151, 40), (200, 300))
    )
    expected = read_by_aiokafka(fetched)
    parts = taken(fetched + fetched[:100], most=most)  # a fetch may end within a batch
    found = [record for part in parts for record in part]
    assert found == expected
    assert [record for part in parts for record in (part[i] for i in range(len(part)))] == expected
    assert all(len(part) <= (most or len(expected)) for part in parts)


def test_a_fetch_begins_at_the_offset_that_was_asked_for_within_a_batch() -> None:
    fetched = batch_of(random.Random(SEED), 90, base=1_000)
    (part,) = taken(fetched, first_offset=1_037)
    assert part.offset.tolist() == list(range(1_037, 1_090))
    assert part.positions() == {("t", 3): 1_090}


def test_times_of_the_broker_take_the_place_of_the_records_own() -> None:
    area = Area(
        partition=0, data=b"\0\x02\0\x01\x01\0", starts=[0], ends=[6], base_offset=5, base_ms=100, appended_ms=77
    )
    assert [(r.offset, r.timestamp_ms, r.key, r.value) for r in pack("t", [area])] == [(5, 77, None, None)]


@pytest.mark.parametrize("where", [20, 61, 500, -1])
def test_a_damaged_batch_is_not_read(where: int) -> None:
    fetched = bytearray(batch_of(random.Random(SEED), 50, base=0))
    fetched[where] ^= 0x10
    with pytest.raises(CorruptRecordException):
        Batches(bytes(fetched), partition=0, first_offset=0).take(None)


def test_areas_of_several_partitions_keep_their_partitions_and_positions() -> None:
    rng = random.Random(SEED)
    areas = [
        area
        for partition, base in ((4, 10), (2, 70))
        for area in Batches(batch_of(rng, 30, base=base), partition=partition, first_offset=0).take(None)
    ]
    found = pack("t", areas)
    assert found.positions() == {("t", 2): 100, ("t", 4): 40}
    assert [r.partition for r in found[28:32]] == [4, 4, 2, 2]
    assert oldest_ms(found) == min(r.timestamp_ms for r in found)


def test_records_of_a_list_are_packed_and_come_back_as_they_were() -> None:
    rng = random.Random(SEED)
    records = [
        Record(topic="t", partition=n % 3, offset=n * 7, key=key, value=value, headers=Headers(headers), timestamp_ms=n)
        for n, (key, value, headers) in enumerate(content(rng, n) for n in range(200))
    ]
    found = packed(records)
    assert list(found) == records
    assert packed(found) is found
    for few in (found[:5], found.of_rows(found.partition == 1)):
        assert list(few) == [r for r in records if (r.partition, r.offset) in {(x.partition, x.offset) for x in few}]


def test_header_columns_hold_what_the_records_headers_hold_and_the_rest_is_named() -> None:
    (part,) = taken(batch_of(random.Random(SEED), 400, base=0))
    records, (groups, rest) = list(part), part.header_groups
    seen = rest.tolist()
    for group in groups:
        seen += group.rows.tolist()
        for name in ("ce_id", "ce_type", "电", "empty", "missing"):
            column = group.column(name)
            told = [None] * len(group.rows) if column is None else [row.tobytes() for row in column]
            assert told == [records[row].headers.undecoded.get(name) for row in group.rows]
    assert sorted(seen) == list(range(400))
    assert len(groups) >= 2
    assert len(rest) < 100


def test_records_sorted_by_type_are_the_same_packed_or_not() -> None:
    (part,) = taken(batch_of(random.Random(SEED), 400, base=0))
    assert {told: list(some) for told, some in by_type(part).items()} == by_type(list(part))
    assert {told: len(some) for told, some in by_type(part[:1]).items()} == {"counted": 1}


def test_headers_that_cannot_be_read_are_none_and_the_neighbours_keep_theirs() -> None:
    headers = {"ce_id": "x"}
    good = packed(
        [
            Record(topic="t", partition=0, offset=n, key=None, value=b"v", headers=headers, timestamp_ms=0)
            for n in range(20)
        ]
    )
    data = bytearray(good.data)
    data[good.headers_at[4]] = 9 * 2  # as many headers are promised
    broken = Packed(**{**{name: getattr(good, name) for name in good.__dataclass_fields__}, "data": bytes(data)})
    assert [dict(r.headers) for r in broken] == [{} if n == 4 else {"ce_id": "x"} for n in range(20)]


def test_numbers_are_read_as_they_were_written() -> None:
    rng = random.Random(SEED)
    numbers = [0, -1, 1, 63, -64, 64, 2**31, -(2**31), 2**62 - 1, -(2**62)]
    numbers += [rng.randrange(-(2**b), 2**b) for b in range(62) for _ in range(20)]
    data = b"".join(map(written_varint, numbers))
    at, begins = 0, []
    for number in numbers:
        begins.append(at)
        found, at = read_varint(data, at)
        assert found == number
    values, behind = read_varints(np.frombuffer(data, np.uint8), np.array(begins))
    assert values.tolist() == numbers
    assert behind.tolist() == [*begins[1:], len(data)]


def columns_of(data: bytes) -> Any:
    return read_varints(np.frombuffer(data, np.uint8), np.array([0]))


@pytest.mark.parametrize("read", [lambda data: read_varint(data, 0), columns_of])
@pytest.mark.parametrize("data", [b"\x80", b"\xff" * 11])
def test_numbers_without_end_are_refused(read: Any, data: bytes) -> None:
    with pytest.raises(UnreadableRecords):
        read(data)


@pytest.mark.parametrize(
    ("data", "count"), [(b"\x04ab", 2), (b"\x06ab", 1), (b"\x04abc", 1), (b"\x81\x80\x00", 1), (b"", 1)]
)
def test_records_that_do_not_fill_their_batch_are_refused(data: bytes, count: int) -> None:
    with pytest.raises(UnreadableRecords):
        record_bounds(data, count)


def test_bounds_of_records_of_all_sizes() -> None:
    sizes = [1, 2, 63, 64, 8_191, 8_192, 100_000]
    data = b"".join(written_varint(size) + b"x" * size for size in sizes)
    starts, ends = record_bounds(data, len(sizes))
    assert [end - start for start, end in zip(starts, ends, strict=True)] == sizes
