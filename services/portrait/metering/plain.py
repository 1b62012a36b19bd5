"""The hot path of interval blocks: records in the plain form that nearly all have, read as columns.

It judges nothing: what is not plain, or fails a check here, is left to the published contract, whose verdict counts.
Up to a thousand records are checked together, by calls on whole columns; where something is not plain they are halved
until the odd ones stand alone, so that one strange record costs its neighbours little.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.contracts.metering import Channel, Quality
from services.kernel.broker import MAX_RECORD_BYTES
from services.kernel.packed import Packed
from services.kernel.records import Headers, Record
from services.kernel.wire import Window
from services.portrait.rules.day_block import CHANNELS, MISSING, QUALITIES

SHANGHAI_S = 8 * 3600
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}\Z", re.ASCII)
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)
NOT_PLAIN = -(2**62)

Value = Annotated[int, msgspec.Meta(gt=MISSING, lt=2**31)]
Column = NDArray[np.int64]


class Block(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    usage_point_id: str
    channel: Channel
    kind: Literal["energy", "mean-power"]
    start: str
    step_minutes: Literal[15, 30, 60]
    values: Annotated[list[Value | None], msgspec.Meta(min_length=1, max_length=96)]
    quality: Quality | list[Quality]
    revision: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    source_time: str


_QUOTES_BESIDE_QUALITY = 2 * len(Block.__struct_fields__) + 2 * 5
"""Of the member names and of the five other texts."""

_QUOTE = ord('"')
_TOGETHER = 1_000
_REQUIRED = ("ce_id", "ce_source", "ce_time", "ce_type")
_read = msgspec.json.Decoder(Block).decode
_members = msgspec.structs.astuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What good records say. One element per record, but one per value in `values` and `quality`."""

    points: Sequence[str]
    """Ids of usage points; the same may come more than once."""
    point: Column
    """The record's place in `points`."""
    channel: Column
    day: Column
    """Local days since 1970."""
    step_minutes: Column
    first_slot: Column
    counts: Column
    values: Column
    """MISSING where null."""
    quality: Column
    mean_power: Column
    revision: Column
    source_time_us: Column
    tie: Column

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        if len(parts) == 1:
            return parts[0]
        columns: dict[str, Any] = {"points": list(chain.from_iterable(p.points for p in parts))}
        for name in cls.__slots__[1:]:
            columns[name] = np.concatenate([getattr(p, name) for p in parts])
        before = np.cumsum([0, *[len(p.points) for p in parts[:-1]]])
        columns["point"] += np.repeat(before, [len(p.point) for p in parts])
        return cls(**columns)


class _Part(dict[Any, int | None]):
    """Microseconds since 1970 of each text or bytes between two others; None if the whole is no plain time."""

    def __init__(self, *, before: str = "", after: str = "") -> None:
        super().__init__()
        self._before, self._after = before, after

    def __missing__(self, part: str | bytes) -> int | None:
        text = part if isinstance(part, str) else part.decode("ascii", "replace")
        moment = plain_time(self._before + text + self._after)
        found = self[part] = None if moment is None else microseconds(moment)
        return found


class Moments(dict[Any, int]):
    """Microseconds since 1970 of each text or bytes; `NOT_PLAIN` if it is no plain time. Many records share one, still
    more its minute (`2026-06-30T08:15`) or the rest (`:42Z`): the two add up, and both are plain if the whole is."""

    def __init__(self) -> None:
        super().__init__()
        self._minutes, self._rests = _Part(after=":00Z"), _Part(before="1992-01-01T00:00")

    def __missing__(self, text: str | bytes) -> int:
        minute, rest = self._minutes[text[:16]], self._rests[text[16:]]
        found = self[text] = NOT_PLAIN if minute is None or rest is None else minute + rest - _1992_US
        return found


def plain_time(text: str) -> datetime | None:
    if not _PLAIN_TIME.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if 1991 < moment.year < 2100 else None


def microseconds(moment: datetime) -> int:
    passed = moment - _EPOCH_TIME
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def utc(date: int) -> int | None:
    """Microseconds since 1970 of the midnight of a date like 20260630 in UTC; None if no plain time lies in it."""
    moment = plain_time(f"{date // 10_000:04}-{date // 100 % 100:02}-{date % 100:02}T00:00:00Z")
    return None if moment is None else microseconds(moment)


_1992_US = microseconds(datetime(1992, 1, 1, tzinfo=UTC))


def tie_of(source: str, event_id: str) -> int:
    return zlib.crc32(f"{source}|{event_id}".encode())


class _Points(dict[str, bytes | None]):
    """The record key that belongs to each usage point; None if its id is not plain."""

    def __missing__(self, point: str) -> bytes | None:
        found = self[point] = point.encode() if _PLAIN_ID.match(point) else None
        return found


class _NotPlain(Exception):
    """Some of the records are not plain; which ones is not known."""


def read_plain(records: Sequence[Record], *, now: datetime, window: Window) -> tuple[Told | None, list[Record]]:
    """What the plain records say, and the records that the contract must judge."""
    reader = _Reader(now=now, window=window)
    for start in range(0, len(records), _TOGETHER):
        reader.take(records[start : start + _TOGETHER])
    return (Told.join(reader.told) if reader.told else None), reader.left


class _Reader:
    """What was read of one batch, and what its records share: usage points and times repeat."""

    def __init__(self, *, now: datetime, window: Window) -> None:
        self.told: list[Told] = []
        self.left: list[Record] = []
        self._earliest, self._latest = microseconds(now - window.past), microseconds(now + window.ahead)
        self._points, self._moments, self._event_moments = _Points(), Moments(), Moments()

    def take(self, records: Sequence[Record]) -> None:
        try:
            self.told.append(self._all(records))
        except _NotPlain:
            if len(records) == 1:
                self.left += records
                return
            middle = len(records) // 2
            self.take(records[:middle])
            self.take(records[middle:])

    def _all(self, records: Sequence[Record]) -> Told:
        """Raises `_NotPlain`."""
        times, ties = _plain_attributes(records)
        points, channels, kinds, starts, steps, values, qualities, revisions, source_times = _plain_blocks(records)
        self._check_keys(points, records.keys() if isinstance(records, Packed) else [record.key for record in records])
        counts = _column(map(len, values), len(values))
        step_minutes = _column(steps, len(steps))
        event_us = _column(map(self._event_moments.__getitem__, times), len(times))
        start_us = _column(map(self._moments.__getitem__, starts), len(starts))
        source_us = _column(map(self._moments.__getitem__, source_times), len(source_times))
        self._check_plausible(event_us, start_us, source_us, step_us=step_minutes * 60_000_000, counts=counts)
        day, in_day = np.divmod(start_us // 1_000_000 + SHANGHAI_S, 86_400)
        return Told(
            points=points,
            point=np.arange(len(points)),
            channel=_column(map(CHANNELS.__getitem__, channels), len(channels)),
            day=day,
            step_minutes=step_minutes,
            first_slot=in_day // (step_minutes * 60),
            counts=counts,
            values=flat_values(values),
            quality=flat_quality(qualities, counts),
            mean_power=_column(map("mean-power".__eq__, kinds), len(kinds)),
            revision=_column(revisions, len(revisions)),
            source_time_us=source_us,
            tie=ties,
        )

    def _check_keys(self, points: Sequence[str], keys: Sequence[bytes | None]) -> None:
        own = list(map(self._points.__getitem__, points))
        if None in own or (own != keys and any(k is not None and k != o for k, o in zip(keys, own, strict=True))):
            raise _NotPlain

    def _check_plausible(
        self, event_us: Column, start_us: Column, source_us: Column, *, step_us: Column, counts: Column
    ) -> None:
        """Times that are plain and near enough, and blocks that lie on their steps within one local day."""
        length_us = step_us * counts
        in_day = (start_us + SHANGHAI_S * 1_000_000) % 86_400_000_000
        plain = min(event_us.min(), start_us.min(), source_us.min()) != NOT_PLAIN
        near = min(event_us.min(), start_us.min()) >= self._earliest and event_us.max() <= self._latest
        near = near and (start_us + length_us).max() <= self._latest
        if not (plain and near and (in_day + length_us).max() <= 86_400_000_000) or (in_day % step_us).any():
            raise _NotPlain


def _column(numbers: Iterable[int], count: int) -> Column:
    return np.fromiter(numbers, np.int64, count)


def _plain_attributes(records: Sequence[Record]) -> tuple[Sequence[bytes], Column]:
    """Times and ties of events whose CloudEvents attributes are there, short and ASCII. Raises `_NotPlain`."""
    try:
        (ids, sources, times, types), versions = _attribute_columns(records)
        said = b"".join(ids)
    except (KeyError, TypeError) as error:
        raise _NotPlain from error
    plain = said.isascii() and all(ids) and all(times) and all(types) and max(map(len, ids)) <= 120
    if not plain or not versions <= {None, b"1.0"}:
        raise _NotPlain
    begun: dict[bytes, int] = {}
    for source in set(sources):
        if not source or len(source) > 120 or not source.isascii():
            raise _NotPlain
        begun[source] = zlib.crc32(source + b"|")
    return times, _column(map(zlib.crc32, ids, map(begun.__getitem__, sources)), len(ids))


def _attribute_columns(records: Sequence[Record]) -> tuple[Sequence[Any], set[bytes | None]]:
    """Values of the required headers, and which versions are said. Raises KeyError."""
    if isinstance(records, Packed):
        return [records.header(name) for name in _REQUIRED], set(records.header("ce_specversion"))
    headers = [Headers.of(record.headers).undecoded for record in records]
    columns = list(zip(*map(itemgetter(*_REQUIRED), headers), strict=True))
    return columns, {header.get("ce_specversion") for header in headers}


def _plain_blocks(records: Sequence[Record]) -> Sequence[Any]:
    """The columns of `Block`, each with an element per record. Raises `_NotPlain`."""
    said = records.values() if isinstance(records, Packed) else [record.value for record in records]
    bodies = [value or b"" for value in said]
    joined = b"".join(bodies)
    if b"\\" in joined or max(map(len, bodies)) > MAX_RECORD_BYTES:
        raise _NotPlain
    try:
        columns = list(zip(*map(_members, map(_read, bodies)), strict=True))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _NotPlain from error
    values, qualities = columns[5], columns[6]
    listed = [(q, v) for q, v in zip(qualities, values, strict=True) if type(q) is list]
    if any(len(q) != len(v) for q, v in listed):
        raise _NotPlain
    # JSON libraries silently drop the first of two members of one name. Nothing is escaped and all names are known,
    # so a doubled one shows as quotation marks too many; no record can have too few, so their sum tells of each.
    marks = len(bodies) * _QUOTES_BESIDE_QUALITY + 2 * (len(bodies) - len(listed) + sum(len(q) for q, _ in listed))
    if np.count_nonzero(np.frombuffer(joined, np.uint8) == _QUOTE) != marks:
        raise _NotPlain
    return columns


def flat_values(values: Sequence[Sequence[int | None]]) -> Column:
    flat = list(chain.from_iterable(values))
    try:
        return np.fromiter(flat, np.int64, len(flat))
    except TypeError:
        return np.array([MISSING if value is None else value for value in flat], np.int64)


def flat_quality(said: Sequence[str | Sequence[str]], counts: Column) -> Column:
    """One code for all values of a record, or one for each."""
    alone = np.array([QUALITIES[q] if type(q) is str else 0 for q in said], np.int64)
    flat = np.repeat(alone, counts)
    if not alone.all():
        ends = np.cumsum(counts)
        for i in np.flatnonzero(alone == 0).tolist():
            flat[ends[i] - counts[i] : ends[i]] = [QUALITIES[q] for q in said[i]]
    return flat
