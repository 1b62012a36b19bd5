"""What the metering systems say in the `store-` benchmarks: measured day shapes, scaled per meter, as CloudEvents.

A load is told three times, to topics of their own: to all meters for the product and COPY, to few for handlers that
are too slow for all. Each 200th record comes twice, as after a retry of its producer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.store.readings import Readings
from deploy.demo.measured import steel_plant
from services.contracts.metering import IntervalBlockRecorded
from services.portrait.rules.day_block import CHANNELS, QUALITIES

AS_OF = datetime(2026, 4, 3, 1, 0, tzinfo=UTC)
DAYS = (date(2026, 3, 30), date(2026, 3, 31))
SLOTS = 96
STEP = timedelta(minutes=15)
ONE_IN = 200
Message = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, body, headers."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """`slots` of each meter are told by records of `block` slots: whole days, or single readings.

    `by_meter`: all of a meter, then the next; else all meters slot by slot. The slots before are there already.
    """

    meters: int
    days: tuple[date, ...]
    slots: range
    block: int
    by_meter: bool

    def of(self, meters: int) -> "Load":
        return Load(meters=meters, days=self.days, slots=self.slots, block=self.block, by_meter=self.by_meter)

    @property
    def records(self) -> int:
        """Without repetitions."""
        return self.meters * len(self.days) * (len(self.slots) // self.block)

    @property
    def readings(self) -> int:
        return self.records * self.block

    @property
    def told(self) -> int:
        """Records on the topic, repetitions included."""
        return self.records + self.records // ONE_IN

    def messages(self) -> Iterator[Message]:
        again = None
        for number, (day, first, meter) in enumerate(self._order(), start=1):
            message = _message(meter, day, first, self.block)
            yield message
            if number % ONE_IN == 0:
                again = message
            elif again is not None and number % ONE_IN == ONE_IN // 4:
                yield again
                again = None
        if again is not None:
            yield again

    def _order(self) -> Iterator[tuple[date, int, int]]:
        firsts = range(self.slots.start, self.slots.stop, self.block)
        if self.by_meter:
            return ((day, first, meter) for day in self.days for meter in range(self.meters) for first in firsts)
        return ((day, first, meter) for day in self.days for first in firsts for meter in range(self.meters))

    def said(self) -> Readings:
        """What a faultless store holds in the end: the slots that were there before, and those told."""
        return self.slots_of(range(self.slots.stop))

    def before(self) -> Readings:
        return self.slots_of(range(self.slots.start))

    def slots_of(self, slots: range) -> Readings:
        of = np.arange(slots.start, slots.stop)
        starts = np.concatenate([_midnight_us(day) + of * 900_000_000 for day in self.days])
        values = [curve(m, day)[of] for m in range(self.meters) for day in self.days]
        count = self.meters * len(starts)
        return Readings(
            meter=np.repeat(np.arange(self.meters), len(starts)),
            channel=np.full(count, CHANNELS["active-import"]),
            start_us=np.tile(starts, self.meters),
            value=np.concatenate(values),
            quality=np.full(count, QUALITIES["measured"]),
        )


def usage_point(meter: int) -> str:
    return f"UP-{meter:08d}"


def _midnight_us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() - 8 * 3600) * 1_000_000


@cache
def _shapes() -> NDArray[np.int64]:
    """Complete days of the measured plant, in Wh."""
    return np.array([c for channel, _, c in steel_plant() if channel == "active-import" and None not in c], np.int64)


def curve(meter: int, day: date) -> NDArray[np.int64]:
    """The Wh of the 96 slots: some measured day, scaled by a factor between 0.2 and 2."""
    shapes = _shapes()
    factor = 20 + (meter * 37) % 181
    scaled: NDArray[np.int64] = shapes[(meter * 13 + day.toordinal()) % len(shapes)] * factor // 100
    return scaled


def _message(meter: int, day: date, first: int, block: int) -> Message:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)
    start = midnight + first * STEP
    told_at = start + block * STEP + timedelta(seconds=60 + meter % 600)
    point = usage_point(meter)
    values = ",".join(map(str, curve(meter, day)[first : first + block].tolist()))
    body = (
        f'{{"usage_point_id":"{point}","channel":"active-import","kind":"energy","start":"{start:%Y-%m-%dT%H:%M:%SZ}",'
        f'"step_minutes":15,"values":[{values}],"quality":"measured","revision":0,'
        f'"source_time":"{told_at:%Y-%m-%dT%H:%M:%SZ}"}}'
    )
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{point}-{day:%Y%m%d}-{first:02d}",
        "ce_source": "head-end",
        "ce_type": IntervalBlockRecorded.TYPE,
        "ce_time": f"{told_at:%Y-%m-%dT%H:%M:%SZ}",
        "ce_subject": point,
        "ce_dataschema": f"urn:keyline:{IntervalBlockRecorded.TYPE}",
        "content-type": "application/json",
    }
    return point.encode(), body.encode(), [(name, text.encode()) for name, text in headers.items()]


def check_wire_form() -> None:
    """The bodies above are built by hand for speed; they must be what the contract writes."""
    for block in (1, SLOTS):
        _, body, _ = _message(7, DAYS[0], 0, block)
        written = IntervalBlockRecorded.from_wire(body).to_wire()
        if written != body:
            raise AssertionError(f"the contract writes {written!r}, the load {body!r}")
