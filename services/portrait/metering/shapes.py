"""Blocks of few values in the very form that the contract writes, read from the bytes of many records at once.

Single readings of one source differ in some digits only. The first record of a size shows where those are; whatever
has all its other bytes equal to the first one's is read by columns of bytes, without an object per record. Like
plain.py it judges nothing: what has another shape, or fails a check here, is left to it.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kernel.packed import HeaderGroup, Packed
from services.kernel.wire import Window
from services.portrait.metering.plain import NOT_PLAIN, SHANGHAI_S, Column, Moments, Told, microseconds, utc
from services.portrait.rules.day_block import CHANNELS, QUALITIES

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z"
_BODY = re.compile(
    rb'\{"usage_point_id":"(?P<point>[^"\\]{1,64})","channel":"(?P<channel>[a-z-]+)","kind":"(?P<kind>[a-z-]+)",'
    rb'"start":"(?P<start>' + _TIME + rb')","step_minutes":(?P<step>15|30|60),"values":\[(?P<values>[\d,]+)\],'
    rb'"quality":"(?P<quality>[a-z]+)","revision":(?P<revision>\d+),"source_time":"(?P<source>' + _TIME + rb')"\}'
)
_NUMBERS = re.compile(rb"\d+")
_MOST_VALUES = 8
"""More seldom have the same widths in many records."""
_MOST_DIGITS = 9
_FEW = 8
"""Fewer records of one shape are not worth it."""
_MISSES = 4
"""Strange records among those of one size, before its rest is left to plain.py."""
_LONGEST = 400
"""Bytes of a body; those of the most values have less, unless the id is very long."""

_VERSION = b"1.0"
_ZERO, _NINE = ord("0"), ord("9")
_ID_FIRST = np.zeros(256, bool)
_ID_FIRST[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"]] = True
_ID = _ID_FIRST.copy()
_ID[[*b"_.:-"]] = True
_DATE, _CLOCK = (0, 1, 2, 3, 5, 6, 8, 9), ((11, 12), (14, 15), (17, 18))
_WHOLE_SECONDS = len("2026-06-30T08:15:42Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Where the digits and texts are in which bodies of one shape may differ: first column and stop."""

    point: slice
    start: slice
    source: slice
    revision: slice
    values: tuple[slice, ...]
    channel: str
    kind: str
    quality: str
    step_minutes: int
    form: Mask
    """Of the other columns."""


def read_shapes(records: Packed, *, now: datetime, window: Window) -> tuple[list[Told], Column]:
    """What the records of common shapes say, and the places of the others."""
    left = np.ones(len(records), bool)
    reader = _Reader(records, earliest_us=microseconds(now - window.past), latest_us=microseconds(now + window.ahead))
    told = []
    groups, _ = records.header_groups
    for group in groups:
        attributes = reader.attributes(group)
        if attributes is None:
            continue
        event_us, ties = attributes
        for shape, rows, bodies in _bodies(records, group.rows):
            at = np.searchsorted(group.rows, rows)
            part, good = reader.block(shape, bodies, rows=rows, event_us=event_us[at], tie=ties[at])
            if part is not None:
                told.append(part)
            left[rows[good]] = False
    return told, np.flatnonzero(left)


def _bodies(records: Packed, rows: Column) -> Iterator[tuple[_Shape, Column, Bytes]]:
    """Each shape with its records: their places, and a row of bytes of each."""
    sizes = records.value_size[rows]
    for size in np.unique(sizes[(sizes > 0) & (sizes < _LONGEST)]).tolist():
        some, misses = rows[sizes == size], 0
        bodies = records.matrix(records.value_at[some], size)
        while len(some) >= _FEW and misses < _MISSES:
            shape = _shape_of(bodies[0].tobytes())
            form = np.ones(size, bool) if shape is None else shape.form
            same = ~((bodies != bodies[0]) & form).any(axis=1)
            if shape is not None and np.count_nonzero(same) >= _FEW:
                yield shape, some[same], bodies if same.all() else bodies[same]
            else:
                misses += 1
            some, bodies = some[~same], bodies[~same]


def _shape_of(body: bytes) -> _Shape | None:
    found = _BODY.fullmatch(body)
    if found is None:
        return None
    channel, kind, quality = (found[name].decode() for name in ("channel", "kind", "quality"))
    begin, stop = found.span("values")
    values = tuple(slice(*number.span()) for number in _NUMBERS.finditer(body, begin, stop))
    known = channel in CHANNELS and quality in QUALITIES and kind in _KINDS
    if not known or len(values) > _MOST_VALUES or len(values) != found["values"].count(b",") + 1:
        return None
    point, start, source, revision = (slice(*found.span(n)) for n in ("point", "start", "source", "revision"))
    if any(number.stop - number.start > _MOST_DIGITS for number in (*values, revision)):
        return None
    form = np.ones(len(body), bool)
    for span in (*values, point, start, source, revision):
        form[span] = False
    return _Shape(
        point=point, start=start, source=source, revision=revision, values=values, channel=channel, kind=kind,
        quality=quality, step_minutes=int(found["step"]), form=form,
    )  # fmt: skip


_KINDS = ("energy", "mean-power")


class _Reader:
    def __init__(self, records: Packed, *, earliest_us: int, latest_us: int) -> None:
        self._records = records
        self._earliest_us, self._latest_us = earliest_us, latest_us
        self._event_moments = Moments()

    def attributes(self, group: HeaderGroup) -> tuple[Column, Column] | None:
        """Times (`NOT_PLAIN` where an attribute of the record is not plain) and ties; None if none can be plain."""
        ids, source, times, type_ = map(group.column, ("ce_id", "ce_source", "ce_time", "ce_type"))
        if ids is None or source is None or times is None or type_ is None:
            return None
        fit = 0 < ids.shape[1] <= 120 and 0 < source.shape[1] <= 120 and times.shape[1] and type_.shape[1]
        version = group.column("ce_specversion")
        if not fit or (version is not None and version.shape[1] != len(_VERSION)):
            return None
        plain = (ids < 0x80).all(axis=1) & (source < 0x80).all(axis=1)
        if version is not None:
            plain &= (version == [*_VERSION]).all(axis=1)
        return np.where(plain, self._event_us(times), NOT_PLAIN), _ties(source, ids)

    def _event_us(self, times: Bytes) -> Column:
        found = utc_us(times)
        if (found == NOT_PLAIN).any():  # an offset, or no plain time: the same as plain.py would find
            found = np.fromiter(map(self._event_moments.__getitem__, _cells(times)), np.int64, len(times))
        return found

    def block(
        self, shape: _Shape, bodies: Bytes, *, rows: Column, event_us: Column, tie: Column
    ) -> tuple[Told | None, Mask]:
        """What the good ones of these records say, and which those are."""
        start_us, source_us = utc_us(bodies[:, shape.start]), utc_us(bodies[:, shape.source])
        revision, good = _numbers(bodies[:, shape.revision])
        values = np.zeros((len(bodies), len(shape.values)), np.int64)
        for i, span in enumerate(shape.values):
            values[:, i], plain = _numbers(bodies[:, span])
            good &= plain
        points = bodies[:, shape.point]
        good &= _ID_FIRST[points[:, 0]] & _ID[points].all(axis=1) & self._own_key(rows, points)
        step_us = shape.step_minutes * 60_000_000
        length_us = step_us * len(shape.values)
        in_day_us = (start_us + SHANGHAI_S * 1_000_000) % 86_400_000_000
        good &= (event_us != NOT_PLAIN) & (start_us != NOT_PLAIN) & (source_us != NOT_PLAIN)
        good &= np.minimum(event_us, start_us) >= self._earliest_us
        good &= np.maximum(event_us, start_us + length_us) <= self._latest_us
        good &= (in_day_us % step_us == 0) & (in_day_us + length_us <= 86_400_000_000)
        if not good.any():
            return None, good
        chosen: Any = slice(None) if good.all() else good
        names, point = _names(points[chosen])
        count = len(point)
        start_us, in_day_us = start_us[chosen], in_day_us[chosen]
        told = Told(
            points=names, point=point, channel=np.full(count, CHANNELS[shape.channel]),
            day=(start_us // 1_000_000 + SHANGHAI_S) // 86_400, step_minutes=np.full(count, shape.step_minutes),
            first_slot=in_day_us // step_us, counts=np.full(count, len(shape.values)),
            values=values[chosen].reshape(-1),
            quality=np.full(count * len(shape.values), QUALITIES[shape.quality]),
            mean_power=np.full(count, int(shape.kind == "mean-power")), revision=revision[chosen],
            source_time_us=source_us[chosen], tie=tie[chosen],
        )  # fmt: skip
        return told, good

    def _own_key(self, rows: Column, points: Bytes) -> Mask:
        """Whether the key of the record is the usage point's id, or there is none."""
        sizes = self._records.key_size[rows]
        of_size = sizes == points.shape[1]
        own: Mask = sizes == -1
        keys = self._records.matrix(self._records.key_at[rows[of_size]], points.shape[1])
        own[of_size] = (keys == points[of_size]).all(axis=1)
        return own


def _ties(source: Bytes, ids: Bytes) -> Column:
    """As plain.py's `tie_of`; nearly always all are of one source."""
    if (source == source[0]).all():
        begun = zlib.crc32(source[0].tobytes() + b"|")
        return np.fromiter([zlib.crc32(one, begun) for one in _cells(ids)], np.int64, len(ids))
    begins = map(zlib.crc32, [cell + b"|" for cell in _cells(source)])
    return np.fromiter(map(zlib.crc32, _cells(ids), begins), np.int64, len(ids))


def _cells(matrix: Bytes) -> list[bytes]:
    flat, size = matrix.tobytes(), matrix.shape[1]
    return [flat[at : at + size] for at in range(0, len(flat), size)]


def _names(points: Bytes) -> tuple[list[str], Column]:
    """Texts, and of each row the place of its text; a text comes again if others were between."""
    begins = np.append(True, (points[1:] != points[:-1]).any(axis=1))
    return [cell.decode() for cell in _cells(points[begins])], np.cumsum(begins) - 1


def _numbers(digits: Bytes) -> tuple[Column, Mask]:
    """The number in each row, and whether it is one as JSON writes it."""
    plain = ((digits >= _ZERO) & (digits <= _NINE)).all(axis=1)
    may_begin = (digits[:, 0] != _ZERO) | (digits.shape[1] == 1)
    return _joined(digits), np.logical_and(plain, may_begin)


def _joined(digits: Bytes) -> Column:
    found = np.zeros(len(digits), np.int64)
    for column in digits.T:
        found = found * 10 + (column.astype(np.int64) - _ZERO)
    return found


def utc_us(texts: Bytes) -> Column:
    """Microseconds since 1970 of times like `2026-06-30T08:15:42.5Z`, one in each row; `NOT_PLAIN` for any other."""
    size = texts.shape[1]
    if size != _WHOLE_SECONDS and not _WHOLE_SECONDS + 2 <= size <= _WHOLE_SECONDS + 7:
        return np.full(len(texts), NOT_PLAIN)
    fraction = np.arange(_WHOLE_SECONDS, size - 1)
    marks = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":", size - 1: "Z"} | ({19: "."} if len(fraction) else {})
    digits = [*_DATE, *(place for places in _CLOCK for place in places), *fraction.tolist()]
    plain = (texts[:, [*marks]] == [ord(mark) for mark in marks.values()]).all(axis=1)
    plain &= ((texts[:, digits] >= _ZERO) & (texts[:, digits] <= _NINE)).all(axis=1)
    hour, minute, second = (_joined(texts[:, places]) for places in _CLOCK)
    plain &= (hour < 24) & (minute < 60) & (second < 60)
    days_us, known = _midnights(_joined(texts[:, _DATE]))
    found = days_us + (hour * 3_600 + minute * 60 + second) * 1_000_000
    if len(fraction):
        found += _joined(texts[:, fraction]) * 10 ** (6 - len(fraction))
    return np.where(plain & known, found, NOT_PLAIN)


def _midnights(dates: Column) -> tuple[Column, Mask]:
    """Microseconds since 1970 of dates like 20260630, and whether there is such a day; few differ."""
    distinct, which = np.unique(dates, return_inverse=True)
    found = [utc(date) for date in distinct.tolist()]
    return np.array([us or 0 for us in found])[which], np.array([us is not None for us in found])[which]
