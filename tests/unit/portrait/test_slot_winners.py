"""The winner of a slot for events of every step, channel and kind, and of estimates made here, in any order."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.metering import IntervalBlockRecorded
from services.kernel.broker import Record
from services.kernel.wire import Window
from services.portrait.metering.decode import decode_blocks
from services.portrait.metering.estimating import ESTIMATED_HERE
from services.portrait.rules.day_block import CHANNELS, FIELDS, FROM_MEAN_POWER, QUALITIES, WIDTH, BlockKey, Slots
from services.portrait.rules.merge import OfferBatch, overlay

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 29, 16, tzinfo=UTC)
Store = dict[BlockKey, tuple[bytes, ...]]


@st.composite
def event(draw: st.DrawFn) -> dict[str, Any]:
    step = draw(st.sampled_from([15, 30, 60]))
    first = draw(st.integers(0, 3))
    values = draw(st.lists(st.none() | st.integers(-3, 3), min_size=1, max_size=4))
    one_quality = st.sampled_from(["measured", "estimated", "manual", "questionable", "missing"])
    return {
        "usage_point_id": draw(st.sampled_from(["UP-1", "UP-2"])),
        "channel": draw(st.sampled_from(sorted(CHANNELS))),
        "kind": draw(st.sampled_from(["energy", "mean-power"])),
        "start": MIDNIGHT + timedelta(minutes=first * step),
        "step_minutes": step,
        "values": tuple(values),
        "quality": draw(one_quality | st.tuples(*[one_quality] * len(values))),
        "revision": draw(st.integers(0, 1)),
        "source_time": MIDNIGHT + timedelta(days=draw(st.integers(0, 1))),
    }


def records(events: list[dict[str, Any]]) -> list[Record]:
    said = [IntervalBlockRecorded(**e) for e in events]
    return [
        Record(
            topic=e.TOPIC, partition=0, offset=n, key=e.key.encode(), value=e.to_wire(), timestamp_ms=0,
            headers={"ce_id": f"e-{n}", "ce_source": "s", "ce_type": e.TYPE, "ce_time": NOW.isoformat()},
        )
        for n, e in enumerate(said)
    ]  # fmt: skip


def stored(batches: list[list[Record]]) -> Store:
    blocks: dict[BlockKey, Slots] = {}
    for batch in batches:
        if not batch:
            continue
        found = decode_blocks(batch, now=NOW, window=Window())
        assert not found.rejected
        keys = found.batch.keys
        before = Slots.empty(blocks=len(keys))
        for i, key in enumerate(keys):
            if key in blocks:
                for name, _ in FIELDS:
                    getattr(before, name)[i] = getattr(blocks[key], name)
        merged = overlay(blocks=before, offers=found.batch.offers, cells=found.batch.cells).slots
        blocks |= {key: merged[i] for i, key in enumerate(keys) if merged.present[i].any()}
    return {key: tuple(getattr(b, name).tobytes() for name, _ in FIELDS) for key, b in blocks.items()}


@given(st.lists(event(), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_events_of_all_steps_channels_and_kinds_end_alike_for_any_order_repetition_and_grouping(
    events: list[dict[str, Any]], rng: random.Random
) -> None:
    said = records(events)
    again = said + rng.choices(said, k=len(said))
    rng.shuffle(again)
    cut = rng.randrange(len(again) + 1)
    assert stored([again[:cut], again[cut:]]) == stored([said]) == stored([[r] for r in reversed(said)])


@pytest.mark.parametrize("quality", sorted(set(QUALITIES) - {"missing"}))
@pytest.mark.parametrize("mean_power", [0, FROM_MEAN_POWER])
@pytest.mark.parametrize("estimate_first", [True, False])
def test_an_estimate_made_here_yields_to_every_value_of_a_source(
    quality: str, mean_power: int, estimate_first: bool
) -> None:
    oldest_source_us = int(datetime(1991, 12, 31, tzinfo=UTC).timestamp() * 1_000_000)
    newest_estimate_s = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
    estimate = (999, ESTIMATED_HERE, 0, newest_estimate_s, 2**32 - 1)
    said = (1, QUALITIES[quality] | mean_power, 0, oldest_source_us, 0)
    slots = Slots.empty(blocks=1)
    for offer in (estimate, said) if estimate_first else (said, estimate):
        offers = Slots(**{name: np.array([offer[i]]).astype(dtype) for i, (name, dtype) in enumerate(FIELDS)})
        slots = overlay(blocks=slots, offers=offers, cells=np.array([0])).slots
    assert slots.value[0, 0] == 1


def test_a_later_estimate_replaces_an_earlier_one() -> None:
    batch = OfferBatch(
        keys=[BlockKey("UP-1", 1, date(2026, 6, 30), 15)],
        offers=Slots(
            value=np.array([5, 3], np.int32), quality=np.full(2, ESTIMATED_HERE, np.uint8),
            revision=np.zeros(2, np.int32), source_time_us=np.array([10, 11]), tie=np.zeros(2, np.uint32),
        ),
        cells=np.array([WIDTH - 1, WIDTH - 1]),
    )  # fmt: skip
    merged = overlay(blocks=Slots.empty(blocks=1), offers=batch.offers, cells=batch.cells)
    assert merged.slots.value[0, WIDTH - 1] == 3
