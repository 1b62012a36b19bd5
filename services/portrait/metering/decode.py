"""From records of `metering-readings` to NumPy columns.

Records that differ in digits only are read from their bytes (shapes.py), others of the plain form that nearly all have
from their JSON (plain.py). Whatever neither accepts is read again by the published contract, whose verdict and words
are final; so all three accept and refuse the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.contracts.metering import IntervalBlockRecorded
from services.kernel.manifest import Rejected
from services.kernel.packed import Packed
from services.kernel.records import Record
from services.kernel.wire import Poison, Window, attributes_of, check_time
from services.kernel.wire import decode as decode_by_contract
from services.portrait.metering.plain import (
    SHANGHAI_S,
    Column,
    Told,
    flat_quality,
    flat_values,
    microseconds,
    read_plain,
    tie_of,
)
from services.portrait.metering.shapes import read_shapes
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

_EPOCH = date(1970, 1, 1)
_DAY_BITS, _STEP_BITS, _CHANNEL_BITS = 17, 6, 4


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
    parts: list[Told] = []
    rejected: list[Rejected] = []
    if isinstance(records, Packed):
        parts, others = read_shapes(records, now=now, window=window)
        records = records.of_rows(others) if len(others) < len(records) else records
    plain, left = read_plain(records, now=now, window=window)
    if plain is not None:
        parts.append(plain)
    for record in left:
        try:
            parts.append(_judged(record, now=now, window=window))
        except Poison as poison:
            rejected.append(Rejected(record=record, poison=poison))
    batch = _batch(Told.join(parts)) if parts else _NOTHING
    return Decoded(batch=batch, rejected=rejected, readings=len(batch.cells))


def _judged(record: Record, *, now: datetime, window: Window) -> Told:
    """By the contract. Raises `Poison`."""
    attributes = attributes_of(record)
    check_time(attributes, window=window, now=now)
    event = decode_by_contract(record, IntervalBlockRecorded)
    assert isinstance(event, IntervalBlockRecorded)
    step_s = event.step_minutes * 60
    day, second = divmod(int(event.start.timestamp()) + SHANGHAI_S, 86_400)
    slot, off = divmod(second, step_s)
    if off or event.start.microsecond or second + step_s * len(event.values) > 86_400:
        raise Poison("breaks-contract", "start: the block must lie on its steps within one day of Asia/Shanghai")
    end = event.start + timedelta(seconds=step_s * len(event.values))
    if event.start < now - window.past or end > now + window.ahead:
        raise Poison(
            "implausible-time", f"start: the interval {event.start.isoformat()} is too far from {now.isoformat()}"
        )
    counts = np.array([len(event.values)])
    return Told(
        points=[event.usage_point_id],
        point=np.array([0]),
        channel=np.array([CHANNELS[event.channel]]),
        day=np.array([day]),
        step_minutes=np.array([event.step_minutes]),
        first_slot=np.array([slot]),
        counts=counts,
        values=flat_values([event.values]),
        quality=flat_quality([event.quality], counts),
        mean_power=np.array([int(event.kind == "mean-power")]),
        revision=np.array([event.revision]),
        source_time_us=np.array([microseconds(event.source_time)]),
        tie=np.array([tie_of(attributes.source, attributes.id)]),
    )


def _batch(told: Told) -> OfferBatch:
    points = sorted(set(told.points))
    rank = {point: i for i, point in enumerate(points)}
    packed = np.fromiter(map(rank.__getitem__, told.points), np.int64, len(told.points))[told.point]
    for column, bits in ((told.channel, _CHANNEL_BITS), (told.day, _DAY_BITS), (told.step_minutes, _STEP_BITS)):
        packed = (packed << bits) | column
    distinct, block = np.unique(packed, return_inverse=True)
    within = np.arange(len(told.values)) - np.repeat(np.cumsum(told.counts) - told.counts, told.counts)
    cells = np.repeat(block * WIDTH + told.first_slot, told.counts) + within
    # A value under the quality "missing" is a filler of the source, and says as little as a null.
    said = (told.values != MISSING) & (told.quality != QUALITIES["missing"])
    values, quality = _energies(told, said)
    offers = Slots(
        value=values.astype(np.int32),
        quality=quality.astype(np.uint8),
        revision=np.repeat(told.revision.astype(np.int32), told.counts),
        source_time_us=np.repeat(told.source_time_us, told.counts),
        tie=np.repeat(told.tie.astype(np.uint32), told.counts),
    )
    if not said.all():
        offers, cells = offers[said], cells[said]
    return OfferBatch(keys=_keys(points, distinct), offers=offers, cells=cells)


def _energies(told: Told, said: NDArray[np.bool_]) -> tuple[Column, Column]:
    """Values and qualities, with the energy of each mean power that was said."""
    values, quality = told.values, told.quality
    for step in np.unique(told.step_minutes[told.mean_power == 1]).tolist():
        power = np.repeat((told.mean_power == 1) & (told.step_minutes == step), told.counts) & said
        values, quality = values.copy(), quality.copy()
        values[power] = energy_of_mean_power(power_w=values[power], step_minutes=step)
        quality[power] |= FROM_MEAN_POWER
    return values, quality


def _keys(points: Sequence[str], packed: Column) -> list[BlockKey]:
    columns = []
    rest = packed
    for bits in (_STEP_BITS, _DAY_BITS, _CHANNEL_BITS):
        columns.append((rest & ((1 << bits) - 1)).tolist())
        rest = rest >> bits
    steps, days, channels = columns
    dates = {day: _EPOCH + timedelta(days=day) for day in set(days)}
    return [
        BlockKey(points[point], channel, dates[day], step)
        for point, channel, day, step in zip(rest.tolist(), channels, days, steps, strict=True)
    ]


_NOTHING = OfferBatch(keys=[], offers=Slots.empty(blocks=0)[:, 0], cells=np.zeros(0, np.int64))
