"""Where the consumer's processor time goes: `python -m bench.store.steps`, microseconds per record of each pure step.

Without broker and database. The best of several repeats, since what disturbs only adds.
"""

import gc
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bench.store.load import AS_OF, DAYS, SLOTS, Load
from services.kernel.fetched import Batches
from services.kernel.packed import Packed, pack
from services.kernel.wire import Window
from services.portrait.metering.decode import decode_blocks
from services.portrait.metering.store import _rows
from services.portrait.rules.day_block import Slots, decode, encode
from services.portrait.rules.merge import day_rollups, overlay

RECORDS = 8_000
LOADS = {
    "day curves": Load(meters=4_100, days=DAYS, slots=range(SLOTS), block=SLOTS, by_meter=True),
    "slot order": Load(meters=8_100, days=DAYS[:1], slots=range(40, 41), block=1, by_meter=False),
    "eight slots of a meter": Load(meters=1_100, days=DAYS[:1], slots=range(40, 48), block=1, by_meter=True),
}


def best(work: Callable[[], Any], *, repeats: int = 5) -> tuple[float, Any]:
    """Microseconds per record, and what the last repeat found."""
    found, least = None, float("inf")
    for _ in range(repeats):
        begun = time.process_time()
        found = work()
        least = min(least, time.process_time() - begun)
    return least / RECORDS * 1e6, found


def wire_batch(load: Load) -> bytes:
    """A record batch as the broker sends it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 25)
    for offset, (key, body, headers) in enumerate(islice(load.messages(), RECORDS)):
        builder.append(offset, 0, key, body, headers)
    return bytes(builder.build())


def records_of(batch: bytes) -> Packed:
    areas = Batches(batch, partition=0, first_offset=0).take(None)
    return pack("t", areas)


def steps(load: Load) -> dict[str, float]:
    batch = wire_batch(load)
    found: dict[str, float] = {}
    found["read"], records = best(lambda: records_of(batch))
    both, decoded = best(lambda: decode_blocks(records_of(batch), now=AS_OF, window=Window()))
    found["decode"] = both - found["read"]
    offers = decoded.batch
    empty = Slots.empty(blocks=len(offers.keys))
    found["merge"], merged = best(lambda: overlay(blocks=empty, offers=offers.offers, cells=offers.cells))
    there = np.zeros(len(offers.keys), bool).tolist()
    found["encode"], _ = best(lambda: _rows(offers.keys, merged.slots, there))
    lengths = np.array([key.step_minutes for key in offers.keys])
    stored = encode(slots=merged.slots, step_minutes=lengths)
    found["decode of stored blocks"], _ = best(lambda: decode(rows=stored))
    found["of encode: rollups"], _ = best(lambda: day_rollups(slots=merged.slots))
    assert not decoded.rejected
    assert len(records) == RECORDS
    return found


def main() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)  # as the service runs
    for name, load in LOADS.items():
        print(f"{name} ({load.block} readings a record)")
        for step, microseconds in steps(load).items():
            print(f"  {step:26s}{microseconds:8.2f} us a record")


if __name__ == "__main__":
    main()
