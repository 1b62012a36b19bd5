"""From records of `metering-readings` to NumPy columns.

The hot path reads the plain form that nearly all records have. Whatever it does not accept is read again by the
published contract, whose verdict and words are final; so both accept and refuse the same.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Annotated, Literal

import msgspec
import numpy as np

from services.contracts.metering import Channel, IntervalBlockRecorded, Quality
from services.kernel.broker import MAX_RECORD_BYTES, Record
from services.kernel.manifest import Rejected
from services.kernel.wire import Poison, Window, attributes_of, check_time
from services.kernel.wire import decode as decode_by_contract
from services.portrait.rules.day_block import (
    CHANNELS,
    FROM_MEAN_POWER,
    MISSING,
    QUALITIES,
    WIDTH,
    BlockKey,
    Slots,
    energy_of_mean_power,
)
from services.portrait.rules.merge import OfferBatch

_SHANGHAI_S = 8 * 3600
_EPOCH = date(1970, 1, 1)
_EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*\Z"
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)

Value = Annotated[int, msgspec.Meta(gt=MISSING, lt=2**31)]


class _Block(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    usage_point_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=_ID)]
    channel: Channel
    kind: Literal["energy", "mean-power"]
    start: str
    step_minutes: Literal[15, 30, 60]
    values: Annotated[list[Value | None], msgspec.Meta(min_length=1, max_length=96)]
    quality: Quality | list[Quality]
    revision: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    source_time: str


_QUOTES_BESIDE_QUALITY = 2 * len(_Block.__struct_fields__) + 2 * 5
"""Of the member names and of the five other texts."""

_read = msgspec.json.Decoder(_Block).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A block whose place in the day is known."""

    key: BlockKey
    first_slot: int
    values: Sequence[int | None]
    quality: Sequence[int]
    revision: int
    source_time_us: int
    tie: int
    mean_power: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    batch: OfferBatch
    rejected: Sequence[Rejected]
    readings: int
    """Values that were said; a null, or a value of quality `missing`, says nothing about its slot."""


def decode_blocks(records: Sequence[Record], *, now: datetime, window: Window) -> Decoded:
    """Offers of all good records; the others with their reason. Times outside `window` around `now` are refused.

    All records must be interval blocks by their `ce_type`: the topic carries other events too.
    """
    placed, rejected = [], []
    for record in records:
        try:
            placed.append(_placed(record, now=now, window=window))
        except Poison as poison:
            rejected.append(Rejected(record=record, poison=poison))
    batch = _batch(placed)
    return Decoded(batch=batch, rejected=rejected, readings=len(batch.cells))


def _placed(record: Record, *, now: datetime, window: Window) -> _Placed:
    attributes = attributes_of(record)
    check_time(attributes, window=window, now=now)
    tie = zlib.crc32(f"{attributes.source}|{attributes.id}".encode())
    block, start, placed = plain_block(record), None, None
    if block is not None:
        start, source_time = _plain_time(block.start), _plain_time(block.source_time)
        if start is not None and source_time is not None:
            placed = _place(block, start=start, source_time=source_time, tie=tie)
    if start is None or placed is None:
        event = decode_by_contract(record, IntervalBlockRecorded)
        assert isinstance(event, IntervalBlockRecorded)
        start = event.start
        placed = _place(event, start=start, source_time=event.source_time, tie=tie)
    if placed is None:
        raise Poison("breaks-contract", "start: the block must lie on its steps within one day of Asia/Shanghai")
    end = start + timedelta(minutes=placed.key.step_minutes * len(placed.values))
    if start < now - window.past or end > now + window.ahead:
        raise Poison("implausible-time", f"start: the interval {start.isoformat()} is too far from {now.isoformat()}")
    return placed


def plain_block(record: Record) -> _Block | None:
    """The hot path; None where the contract itself must judge."""
    body = record.value or b""
    if len(body) > MAX_RECORD_BYTES or b"\\" in body:
        return None
    try:
        block = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    qualities = 1 if isinstance(block.quality, str) else len(block.quality)
    # JSON libraries silently drop the first of two members of one name. Nothing is escaped and all names are known,
    # so a doubled one shows as quotation marks too many.
    plain = body.count(b'"') == _QUOTES_BESIDE_QUALITY + 2 * qualities
    plain = plain and (isinstance(block.quality, str) or qualities == len(block.values))
    own_key = record.key is None or record.key.decode("utf-8", "replace") == block.usage_point_id
    return block if plain and own_key else None


def _place(
    block: _Block | IntervalBlockRecorded, *, start: datetime, source_time: datetime, tie: int
) -> _Placed | None:
    """None when the block leaves its local day or lies between the steps."""
    step_s = block.step_minutes * 60
    days, second = divmod(int(start.timestamp()) + _SHANGHAI_S, 86_400)
    slot, off = divmod(second, step_s)
    if off or start.microsecond or second + step_s * len(block.values) > 86_400:
        return None
    quality = block.quality
    return _Placed(
        key=BlockKey(block.usage_point_id, CHANNELS[block.channel], _EPOCH + timedelta(days=days), block.step_minutes),
        first_slot=slot,
        values=block.values,
        quality=[QUALITIES[quality]] * len(block.values)
        if isinstance(quality, str)
        else [QUALITIES[q] for q in quality],
        revision=block.revision,
        source_time_us=_microseconds(source_time),
        tie=tie,
        mean_power=block.kind == "mean-power",
    )


def _plain_time(text: str) -> datetime | None:
    if not _PLAIN_TIME.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if 1991 < moment.year < 2100 else None


def _microseconds(moment: datetime) -> int:
    passed = moment - _EPOCH_TIME
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def _batch(placed: Sequence[_Placed]) -> OfferBatch:
    keys = sorted({p.key for p in placed})
    row = {key: i for i, key in enumerate(keys)}
    counts = [len(p.values) for p in placed]
    total = sum(counts)
    flat = list(chain.from_iterable(p.values for p in placed))
    values = np.array([MISSING if v is None else v for v in flat] if None in flat else flat, np.int64)
    quality = np.fromiter(chain.from_iterable(p.quality for p in placed), np.uint8, total)
    first_cell = np.repeat(np.array([row[p.key] * WIDTH + p.first_slot for p in placed], np.int64), counts)
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    # A value under the quality "missing" is a filler of the source, and says as little as a null.
    said = (values != MISSING) & (quality != QUALITIES["missing"])
    for step in {p.key.step_minutes for p in placed if p.mean_power}:
        power = np.repeat(np.array([p.mean_power and p.key.step_minutes == step for p in placed]), counts) & said
        values[power] = energy_of_mean_power(power_w=values[power], step_minutes=step)
        quality[power] |= FROM_MEAN_POWER
    offers = Slots(
        value=values.astype(np.int32),
        quality=quality,
        revision=np.repeat(np.array([p.revision for p in placed], np.int32), counts),
        source_time_us=np.repeat(np.array([p.source_time_us for p in placed], np.int64), counts),
        tie=np.repeat(np.array([p.tie for p in placed], np.uint32), counts),
    )
    return OfferBatch(keys=keys, offers=offers[said], cells=(first_cell + within)[said])
