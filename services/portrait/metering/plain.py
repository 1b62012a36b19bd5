"""The hot path of interval blocks: records in the plain form that nearly all have, read as columns.

It judges nothing: what is not plain, or fails a check here, is left to the published contract, whose verdict counts.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.contracts.metering import Channel, Quality
from services.kernel.broker import MAX_RECORD_BYTES
from services.kernel.records import Headers, Record
from services.kernel.wire import Window
from services.portrait.rules.day_block import CHANNELS, MISSING, QUALITIES

SHANGHAI_S = 8 * 3600
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}\Z", re.ASCII)
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_PLAIN = -(2**62)

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

_read = msgspec.json.Decoder(Block).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What good records say. One element per record, but one per value in `values` and `quality`."""

    points: Sequence[str]
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
        return cls(**columns)


class _Moments(dict[str, int]):
    """Microseconds since 1970 of each text; many records share one. `_NOT_PLAIN` if it is no plain time."""

    def __missing__(self, text: str) -> int:
        moment = plain_time(text)
        found = self[text] = _NOT_PLAIN if moment is None else microseconds(moment)
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


def tie_of(source: str, event_id: str) -> int:
    return zlib.crc32(f"{source}|{event_id}".encode())


class _Points(dict[str, bytes | None]):
    """The record key that belongs to each usage point; None if its id is not plain."""

    def __missing__(self, point: str) -> bytes | None:
        found = self[point] = point.encode() if _PLAIN_ID.match(point) else None
        return found


def _plain_block(record: Record, points: _Points) -> Block | None:
    body = record.value or b""
    if len(body) > MAX_RECORD_BYTES or b"\\" in body:
        return None
    try:
        block = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    quality = block.quality
    qualities = 1 if type(quality) is str else len(quality)
    # JSON libraries silently drop the first of two members of one name. Nothing is escaped and all names are known,
    # so a doubled one shows as quotation marks too many.
    plain = body.count(b'"') == _QUOTES_BESIDE_QUALITY + 2 * qualities
    plain = plain and (type(quality) is str or qualities == len(block.values))
    own_key = points[block.usage_point_id]
    return block if plain and own_key is not None and (record.key is None or record.key == own_key) else None


def _plain_attributes(record: Record) -> tuple[str, int] | None:
    """Time and tie of an event whose CloudEvents attributes are there, short and ASCII."""
    headers = record.headers
    found = headers.undecoded if type(headers) is Headers else Headers.of(headers).undecoded
    identity, source, time = found.get("ce_id"), found.get("ce_source"), found.get("ce_time")
    if not (identity and source and time and found.get("ce_type")):
        return None
    version = found.get("ce_specversion")
    if len(identity) > 120 or len(source) > 120 or (version is not None and version != b"1.0"):
        return None
    told = b"%b|%b" % (source, identity)
    return (time.decode(), zlib.crc32(told)) if told.isascii() and time.isascii() else None


def read_plain(records: Sequence[Record], *, now: datetime, window: Window) -> tuple[Told | None, list[Record]]:
    """What the plain records say, and the records that the contract must judge."""
    taken: list[Record] = []
    blocks: list[Block] = []
    times: list[str] = []
    ties: list[int] = []
    left: list[Record] = []
    points = _Points()
    for record in records:
        attributes = _plain_attributes(record)
        block = _plain_block(record, points)
        if attributes is None or block is None:
            left.append(record)
        else:
            taken.append(record)
            blocks.append(block)
            times.append(attributes[0])
            ties.append(attributes[1])
    if not blocks:
        return None, left
    moments = _Moments()
    event_us = np.array([moments[time] for time in times], np.int64)
    start_us = np.array([moments[b.start] for b in blocks], np.int64)
    source_us = np.array([moments[b.source_time] for b in blocks], np.int64)
    good = _plausible(event_us, start_us, source_us, blocks, now=now, window=window)
    if not good.all():
        left += [record for record, fine in zip(taken, good.tolist(), strict=True) if not fine]
        return (_told(*_chosen(good, blocks, start_us, source_us, ties)) if good.any() else None), left
    return _told(blocks, start_us, source_us, ties), left


def _chosen(
    good: NDArray[np.bool_], blocks: Sequence[Block], start_us: Column, source_us: Column, ties: Sequence[int]
) -> tuple[list[Block], Column, Column, list[int]]:
    chosen = np.flatnonzero(good).tolist()
    return [blocks[i] for i in chosen], start_us[good], source_us[good], [ties[i] for i in chosen]


def _plausible(
    event_us: Column, start_us: Column, source_us: Column, blocks: Sequence[Block], *, now: datetime, window: Window
) -> NDArray[np.bool_]:
    """Times that are plain and near enough, and blocks that lie on their steps within one local day."""
    earliest, latest = microseconds(now - window.past), microseconds(now + window.ahead)
    step_us = np.array([b.step_minutes for b in blocks], np.int64) * 60_000_000
    length_us = step_us * np.array([len(b.values) for b in blocks], np.int64)
    in_day = (start_us + SHANGHAI_S * 1_000_000) % 86_400_000_000
    good: NDArray[np.bool_] = (
        (np.minimum(np.minimum(event_us, start_us), source_us) != _NOT_PLAIN)
        & (event_us >= earliest)
        & (event_us <= latest)
        & (start_us >= earliest)
        & (start_us + length_us <= latest)
        & (in_day % step_us == 0)
        & (in_day + length_us <= 86_400_000_000)
    )
    return good


def _told(blocks: Sequence[Block], start_us: Column, source_us: Column, ties: Sequence[int]) -> Told:
    step = np.array([b.step_minutes for b in blocks], np.int64)
    day, in_day = np.divmod(start_us // 1_000_000 + SHANGHAI_S, 86_400)
    counts = np.array([len(b.values) for b in blocks], np.int64)
    return Told(
        points=[b.usage_point_id for b in blocks],
        channel=np.array([CHANNELS[b.channel] for b in blocks], np.int64),
        day=day,
        step_minutes=step,
        first_slot=in_day // (step * 60),
        counts=counts,
        values=flat_values([b.values for b in blocks]),
        quality=flat_quality([b.quality for b in blocks], counts),
        mean_power=np.array([b.kind == "mean-power" for b in blocks], np.int64),
        revision=np.array([b.revision for b in blocks], np.int64),
        source_time_us=source_us,
        tie=np.array(ties, np.int64),
    )


def flat_values(values: Sequence[Sequence[int | None]]) -> Column:
    flat = list(chain.from_iterable(values))
    try:
        return np.array(flat, np.int64)
    except TypeError:
        return np.array([MISSING if value is None else value for value in flat], np.int64)


def flat_quality(said: Sequence[str | Sequence[str]], counts: Column) -> Column:
    """One code for all values of a record, or one for each."""
    alone = np.array([QUALITIES[q] if isinstance(q, str) else 0 for q in said], np.int64)
    flat = np.repeat(alone, counts)
    if not alone.all():
        ends = np.cumsum(counts)
        for i in np.flatnonzero(alone == 0).tolist():
            flat[ends[i] - counts[i] : ends[i]] = [QUALITIES[q] for q in said[i]]
    return flat
