"""Records of a bulk topic as the broker sent them: positions in one buffer, and a `Record` of those asked for.

To make an object of each record and of each header is dearer than to read a batch of readings (docs/adr/0008). Who can
read bytes by columns takes `header_groups` and the positions; to everybody else this is a sequence of records.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import repeat
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from services.kernel.records import Headers, Record
from services.kernel.varints import UnreadableRecords, read_varint, read_varints, written_varint

Column = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_FEW = 8
"""Fewer records of one form are not worth a matrix."""
_FORMS = 16
"""So many forms of headers are told apart by columns; records of any other are read one by one."""
_PADDING = bytes(16)
"""So that a number at the end of the buffer can be looked for without asking for the end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Whole records of one batch of the broker (format 2), decompressed, one after the other.

    `starts` and `ends` of the records, each without its leading length. Records before `first_offset` were not asked
    for. Without `appended_ms` the records carry their own times.
    """

    partition: int
    data: bytes | memoryview
    starts: Sequence[int]
    ends: Sequence[int]
    base_offset: int
    base_ms: int
    appended_ms: int | None = None
    first_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderGroup:
    """Records whose headers have the same names and sizes, so that a header is a range of columns of `matrix`."""

    rows: Column
    """Their places in the sequence."""
    matrix: Bytes
    """One row of bytes per record."""
    spans: dict[str, tuple[int, int]]
    """Header -> first column and size, which is -1 for a header without a value; of two of one name the last."""

    def column(self, name: str) -> Bytes | None:
        """The bytes of a header, one row per record; None where there is no such header or it has no value."""
        at, size = self.spans.get(name, (0, -1))
        return None if size < 0 else self.matrix[:, at : at + size]


@dataclass(frozen=True, eq=False, kw_only=True)
class Packed(Sequence[Record]):
    """Records of one topic; all columns have one element per record, positions are those in `data`."""

    topic: str
    data: bytes
    partition: Column
    offset: Column
    timestamp_ms: Column
    key_at: Column
    key_size: Column
    """-1 for a record without a key."""
    value_at: Column
    value_size: Column
    """-1 for a record without a value."""
    headers_at: Column
    end: Column

    def __len__(self) -> int:
        return len(self.offset)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Packed": ...
    def __getitem__(self, index: int | slice) -> "Record | Packed":
        if isinstance(index, slice):
            return self.of_rows(index)
        return self._record(index, self._headers(index))

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records(np.arange(len(self))))

    def of_rows(self, rows: Any) -> "Packed":
        """Of these places, in their order: a slice, a mask or indices."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("topic", "data")}
        return Packed(topic=self.topic, data=self.data, **columns)

    @cached_property
    def view(self) -> Bytes:
        return np.frombuffer(self.data, np.uint8)

    def matrix(self, at: Column, size: int) -> Bytes:
        """`size` bytes from each position, one row each."""
        if size == 0 or not len(at):
            return np.zeros((len(at), size), np.uint8)
        return np.lib.stride_tricks.sliding_window_view(self.view, size)[at]

    @property
    def sizes(self) -> Column:
        """Bytes of the values."""
        return np.maximum(self.value_size, 0)

    def positions(self) -> dict[tuple[str, int], int]:
        """Of each partition the offset behind the last of its records."""
        return {
            (self.topic, partition): int(self.offset[self.partition == partition].max()) + 1
            for partition in np.unique(self.partition).tolist()
        }

    @cached_property
    def header_groups(self) -> tuple[Sequence[HeaderGroup], Column]:
        """Records by the form of their headers, and the places of those whose form is rare or cannot be read."""
        sizes = self.end - self.headers_at
        groups: list[HeaderGroup] = []
        rest = []
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            while len(rows) >= _FEW and len(groups) < _FORMS:
                group = self._group(rows, size)
                if group is None:
                    break
                groups.append(group)
                rows = np.setdiff1d(rows, group.rows, assume_unique=True)
            rest.append(rows)
        return groups, np.sort(np.concatenate(rest)) if rest else np.zeros(0, np.int64)

    def _group(self, rows: Column, size: int) -> HeaderGroup | None:
        """Those of `rows` whose headers have the form of the first one's; None if that cannot be read."""
        first = int(self.headers_at[rows[0]])
        try:
            headers = _header_spans(self.data, first, first + size)
        except UnreadableRecords:
            return None
        form = np.ones(size, bool)
        for _, at, length in headers:
            form[at - first : at - first + max(length, 0)] = False
        matrix = self.matrix(self.headers_at[rows], size)
        same = ~((matrix != matrix[0]) & form).any(axis=1)
        if not same.all():
            rows, matrix = rows[same], matrix[same]
        return HeaderGroup(rows=rows, matrix=matrix, spans={name: (at - first, length) for name, at, length in headers})

    def header(self, name: str) -> list[bytes | None]:
        """The value of a header of each record; None where there is none."""
        groups, rest = self.header_groups
        found: list[bytes | None] = [None] * len(self)
        for group in groups:
            cells = _column_cells(group, name)
            if len(group.rows) == len(self):
                return [*cells]
            for row, cell in zip(group.rows.tolist(), cells, strict=True):
                found[row] = cell
        for row in rest.tolist():
            found[row] = self._headers(row).undecoded.get(name)
        return found

    def keys(self) -> list[bytes | None]:
        return _cells(self.data, self.key_at, self.key_size)

    def values(self) -> list[bytes | None]:
        return _cells(self.data, self.value_at, self.value_size)

    def by_type(self) -> dict[str, "Packed"]:
        """By `ce_type`, each in its order; those without one under the empty text."""
        groups, rest = self.header_groups
        types: dict[bytes, list[Column]] = {}
        for group in groups:
            column = group.column("ce_type")
            if column is None or (column == column[0]).all():
                types.setdefault(b"" if column is None else column[0].tobytes(), []).append(group.rows)
            else:
                for row, told in zip(group.rows, column, strict=True):
                    types.setdefault(told.tobytes(), []).append(row[None])
        for row in rest.tolist():
            types.setdefault(self._headers(row).undecoded.get("ce_type") or b"", []).append(np.array([row]))
        if len(types) == 1:
            return {told.decode("utf-8", "replace"): self for told in types}
        return {
            told.decode("utf-8", "replace"): self.of_rows(np.sort(np.concatenate(rows))) for told, rows in types.items()
        }

    def records(self, rows: Column) -> list[Record]:
        """Those at these places, in order."""
        if len(rows) < _FEW:
            return [self[row] for row in rows.tolist()]
        part = self if len(rows) == len(self) else self.of_rows(rows)
        headers: list[Headers | None] = [None] * len(rows)
        groups, rest = part.header_groups
        for group in groups:
            for row, its in zip(group.rows.tolist(), _headers_of(group), strict=True):
                headers[row] = its
        for row in rest.tolist():
            headers[row] = part._headers(row)
        others = (part.partition.tolist(), part.offset.tolist(), part.timestamp_ms.tolist())
        return [
            Record(topic=self.topic, partition=p, offset=o, key=k, value=v, headers=h or _NONE, timestamp_ms=ms)
            for p, o, ms, k, v, h in zip(*others, part.keys(), part.values(), headers, strict=True)
        ]

    def _record(self, row: int, headers: Headers) -> Record:
        at = slice(row, row + 1) if row >= 0 else slice(row, row + 1 or None)
        (key,) = _cells(self.data, self.key_at[at], self.key_size[at])
        (value,) = _cells(self.data, self.value_at[at], self.value_size[at])
        return Record(
            topic=self.topic, partition=int(self.partition[row]), offset=int(self.offset[row]), key=key, value=value,
            headers=headers, timestamp_ms=int(self.timestamp_ms[row]),
        )  # fmt: skip

    def _headers(self, row: int) -> Headers:
        """None at all if they cannot be read: the record is judged without."""
        try:
            spans = _header_spans(self.data, int(self.headers_at[row]), int(self.end[row]))
        except UnreadableRecords:
            return _NONE
        return Headers([(name, None if size < 0 else self.data[at : at + size]) for name, at, size in spans])


_NONE = Headers([])


def _cells(data: bytes, at: Column, size: Column) -> list[bytes | None]:
    return [data[a:b] if b >= a else None for a, b in zip(at.tolist(), (at + size).tolist(), strict=True)]


def _headers_of(group: HeaderGroup) -> list[Headers]:
    names = list(group.spans)
    columns = [_column_cells(group, name) for name in names]
    return [Headers(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [_NONE] * len(group.rows)


def _column_cells(group: HeaderGroup, name: str) -> Iterable[bytes | None]:
    """The values of one header; often all are one object."""
    cells = group.column(name)
    if cells is None or (cells == cells[0]).all():
        return repeat(None if cells is None else cells[0].tobytes(), len(group.rows))
    flat, size = cells.tobytes(), cells.shape[1]
    return [flat[at : at + size] for at in range(0, len(flat), size)]


def _header_spans(data: bytes, at: int, end: int) -> list[tuple[str, int, int]]:
    """Name, position and size of each header's value, -1 for none. Raises `UnreadableRecords`."""
    found = []
    count, at = read_varint(data, at)
    for _ in range(count):
        size, at = read_varint(data, at)
        if size < 0 or at + size > end:
            raise UnreadableRecords("a header's name is longer than its record")
        name = data[at : at + size].decode("utf-8", "replace")
        size, at = read_varint(data, at + size)
        if at + size > end:
            raise UnreadableRecords("a header's value is longer than its record")
        found.append((name, at, size))
        at += max(size, 0)
    if at != end:
        raise UnreadableRecords("headers and their record do not end together")
    return found


def pack(topic: str, areas: Sequence[Area]) -> Packed:
    """Raises `UnreadableRecords`."""
    data = b"".join([*[area.data for area in areas], _PADDING])
    shifts = np.cumsum([0, *[len(area.data) for area in areas]])
    counts = [len(area.starts) for area in areas]
    shift = np.repeat(shifts[:-1], counts)
    starts = _joined([area.starts for area in areas]) + shift
    ends = _joined([area.ends for area in areas]) + shift

    def told(numbers: Iterable[int]) -> Column:
        return np.repeat(np.array(list(numbers), np.int64), counts)

    view = np.frombuffer(data, np.uint8)
    later_ms, at = read_varints(view, starts + 1)  # behind the attributes, of which format 2 has none
    offset, at = read_varints(view, at)
    key_size, key_at = read_varints(view, at)
    value_size, value_at = read_varints(view, key_at + np.maximum(key_size, 0))
    headers_at = value_at + np.maximum(value_size, 0)
    if len(ends) and ((headers_at >= ends) | (key_at + key_size > ends)).any():
        raise UnreadableRecords("a key or value is longer than its record")
    appended = told(-1 if area.appended_ms is None else area.appended_ms for area in areas)
    found = Packed(
        topic=topic, data=data, partition=told(a.partition for a in areas),
        offset=offset + told(a.base_offset for a in areas),
        timestamp_ms=np.where(appended < 0, later_ms + told(a.base_ms for a in areas), appended),
        key_at=key_at, key_size=key_size, value_at=value_at, value_size=value_size, headers_at=headers_at, end=ends,
    )  # fmt: skip
    asked = found.offset >= told(area.first_offset for area in areas)
    return found if asked.all() else found.of_rows(asked)


def _joined(positions: Sequence[Sequence[int]]) -> Column:
    return np.concatenate([np.array(some, np.int64) for some in positions] or [np.zeros(0, np.int64)])


def packed(records: Sequence[Record]) -> Packed:
    """Of one topic, at least one: as the broker would have sent them."""
    if isinstance(records, Packed):
        return records
    areas = []
    for record in records:
        data = _written(record)
        areas.append(
            Area(partition=record.partition, data=data, starts=[0], ends=[len(data)], base_offset=record.offset,
                 base_ms=record.timestamp_ms)
        )  # fmt: skip
    return pack(records[0].topic, areas)


def oldest_ms(records: Sequence[Record]) -> int:
    """When the oldest was written, of at least one."""
    if isinstance(records, Packed):
        return int(records.timestamp_ms.min())
    return min(record.timestamp_ms for record in records)


def by_type(records: Sequence[Record]) -> dict[str, Sequence[Record]]:
    """Records by their `ce_type`, in their order; those without one under the empty text."""
    if isinstance(records, Packed):
        return {**records.by_type()}
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.headers.get("ce_type") or "", []).append(record)
    return {**found}


def _written(record: Record) -> bytes:
    parts = [b"\0\0\0"]  # no attributes; its time and offset are those of its area
    for part in (record.key, record.value):
        parts += [written_varint(-1 if part is None else len(part)), part or b""]
    headers = Headers.of(record.headers).undecoded
    parts.append(written_varint(len(headers)))
    for name, value in headers.items():
        text = name.encode()
        parts += [written_varint(len(text)), text, written_varint(-1 if value is None else len(value)), value or b""]
    return b"".join(parts)
