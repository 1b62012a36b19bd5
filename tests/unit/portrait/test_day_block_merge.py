"""The merge of interval data: any order, repetition and grouping of what arrives ends in the same bytes."""

import random
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portrait.rules.day_block import (
    FIELDS,
    FROM_MEAN_POWER,
    MISSING,
    QUALITIES,
    WIDTH,
    BlockKey,
    Slots,
    StoredBlock,
    decode,
    encode,
    energy_of_mean_power,
    slots_per_day,
)
from services.portrait.rules.merge import MergeCounts, day_rollups, overlay

BLOCKS = 3
offer = st.tuples(
    st.integers(0, BLOCKS * WIDTH - 1).map(lambda c: c // WIDTH * WIDTH + c % 5),  # few cells, many contests
    st.integers(-3, 3),
    st.sampled_from([*QUALITIES.values(), 3 | FROM_MEAN_POWER]),
    st.integers(0, 2),
    st.integers(10**15, 10**15 + 2),
    st.integers(0, 2),
)
Offer = tuple[int, int, int, int, int, int]


def columns(offers: list[Offer]) -> tuple[Slots, np.ndarray]:
    table = np.array(offers, np.int64).reshape(-1, 6)
    slots = Slots(**{name: table[:, i + 1].astype(dtype) for i, (name, dtype) in enumerate(FIELDS)})
    return slots, table[:, 0]


def merged(batches: list[list[Offer]]) -> tuple[Slots, MergeCounts]:
    slots, counts = Slots.empty(blocks=BLOCKS), MergeCounts()
    for batch in batches:
        offers, cells = columns(batch)
        result = overlay(blocks=slots, offers=offers, cells=cells)
        slots, counts = result.slots, counts + result.counts
    return slots, counts


def as_bytes(slots: Slots) -> list[StoredBlock]:
    kept = slots[slots.present.any(axis=1)]
    return encode(slots=kept, step_minutes=np.full(len(kept.value), 15))


@given(st.lists(offer, min_size=1, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_every_permutation_duplication_and_partition_of_the_offers_gives_identical_bytes(
    offers: list[Offer], rng: random.Random
) -> None:
    expected, _ = merged([offers])
    again = offers + rng.choices(offers, k=len(offers))
    rng.shuffle(again)
    cuts = sorted(rng.choices(range(len(again) + 1), k=rng.randrange(4)))
    batches = [again[a:b] for a, b in zip([0, *cuts], [*cuts, len(again)], strict=True)]
    result, counts = merged(batches)
    assert as_bytes(result) == as_bytes(expected)
    assert counts.stored + counts.replaced + counts.ignored == len(again)
    assert counts.stored == int(expected.present.sum())


@given(st.lists(offer, min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_merge_equals_a_plain_maximum_per_slot(offers: list[Offer]) -> None:
    def order(o: Offer) -> tuple[int, ...]:
        return (o[3], o[2] & 0x7F, not o[2] & 0x80, o[4], o[5], o[1])

    slots, _ = merged([offers])
    for cell in {o[0] for o in offers}:
        best = max((o for o in offers if o[0] == cell), key=order)
        row, slot = divmod(cell, WIDTH)
        assert tuple(int(getattr(slots, name)[row, slot]) for name, _ in FIELDS) == best[1:]


@given(st.lists(offer, min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_stored_bytes_decode_to_the_block_they_came_from(offers: list[Offer]) -> None:
    slots, _ = merged([offers])
    kept = slots[slots.present.any(axis=1)]
    back = decode(rows=as_bytes(slots))
    assert all(np.array_equal(getattr(back, name), getattr(kept, name)) for name, _ in FIELDS)


@given(st.lists(offer, min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_rollups_equal_a_recount_of_the_present_slots(offers: list[Offer]) -> None:
    slots, _ = merged([offers])
    kept = slots[slots.present.any(axis=1)]
    rollups = day_rollups(slots=kept)
    for row in range(len(kept.value)):
        there = [int(v) for v in kept.value[row] if v != MISSING]
        assert rollups.total[row] == sum(there)
        assert (rollups.maximum[row], rollups.minimum[row]) == (max(there), min(there))
        assert kept.value[row].tolist().index(max(there)) == rollups.maximum_slot[row]
        assert kept.value[row].tolist().index(min(there)) == rollups.minimum_slot[row]
        assert rollups.present[row] == len(there)
        estimated = kept.quality[row] & 0x7F == QUALITIES["estimated"]
        assert rollups.estimated[row] == int(estimated.sum())


def test_a_repeated_curve_counts_as_duplicates_and_changes_nothing() -> None:
    curve = [(slot, 100 + slot, 3, 0, 10**15, 7) for slot in range(96)]
    first, _ = merged([curve])
    offers, cells = columns(curve)
    again = overlay(blocks=first, offers=offers, cells=cells)
    assert again.counts == MergeCounts(duplicates=96)
    assert not again.changed.any()


def test_a_later_source_time_replaces_and_an_earlier_one_is_superseded() -> None:
    _, counts = merged([[(0, 5, 3, 0, 2, 0)], [(0, 6, 3, 0, 3, 0)], [(0, 7, 3, 0, 1, 0)]])
    assert counts == MergeCounts(stored=1, replaced=1, superseded=1)


def test_a_higher_revision_wins_over_a_better_quality() -> None:
    slots, _ = merged([[(0, 5, 5, 0, 9, 0)], [(0, 6, 1, 1, 1, 0)]])
    assert slots.value[0, 0] == 6


def test_a_metered_energy_wins_over_one_derived_from_mean_power() -> None:
    slots, _ = merged([[(0, 6, 3 | FROM_MEAN_POWER, 0, 9, 9)], [(0, 5, 3, 0, 1, 0)]])
    assert slots.value[0, 0] == 5


def test_rollups_of_the_largest_values_do_not_overflow() -> None:
    slots = Slots.empty(blocks=1)
    slots.value[:] = 2**31 - 1
    assert day_rollups(slots=slots).total[0] == 96 * (2**31 - 1)


def test_a_curve_of_one_event_is_stored_with_single_provenance() -> None:
    slots, _ = merged([[(slot, 100, 3, 0, 10**15, 7) for slot in range(96)]])
    (block,) = as_bytes(slots)
    assert [len(column) for column in block] == [384, 1, 4, 8, 4]


def test_a_day_of_hourly_steps_is_stored_in_24_slots() -> None:
    slots, _ = merged([[(slot, 100 + slot, 3, slot, 10**15, 7) for slot in range(24)]])
    (block,) = encode(slots=slots[:1], step_minutes=np.array([60]))
    assert [len(column) for column in block] == [96, 1, 96, 8, 4]
    assert np.array_equal(decode(rows=[block]).revision[0, :24], np.arange(24))


@pytest.mark.parametrize("odd", [0, 1])
def test_provenance_is_kept_of_present_slots_alone_and_whole_seconds_in_four_bytes(odd: int) -> None:
    """A gap between and half a day to come; two present slots; a time before 1970, or one within a second."""
    second = 1_782_748_800_000_000
    slots, _ = merged(
        [
            [(slot, 100, 3, slot % 3, second + slot * 1_000_000, slot) for slot in range(40) if slot != 7]
            + [(96 + 5, 1, 3, 0, second, 1), (96 + 9, 2, 3, 0, second + 1_000_000, 2)]
            + [(192 + slot, 1, 3, 0, [-1_000_000, 0, 1_000_000, 1_500_000][slot + odd], 1) for slot in range(3)]
        ]
    )
    blocks = as_bytes(slots)
    assert [[len(column) for column in block] for block in blocks] == [
        [384, 1, 39 * 4, 39 * 4, 39 * 4],
        [384, 1, 4, 16, 8],
        [384, 1, 4, 24, 4],
    ]
    back = decode(rows=blocks)
    assert all(np.array_equal(getattr(back, name), getattr(slots, name)) for name, _ in FIELDS)


def test_blocks_whose_provenance_was_written_for_all_slots_are_read() -> None:
    slots = merged([[(slot, 100, 3, slot, 10**15 + slot, slot) for slot in range(10)]])[0][:1]
    (new,) = as_bytes(slots)
    old = new._replace(
        **{name: getattr(slots, name)[0].astype(dtype).tobytes() for name, dtype in FIELDS[2:]},
    )
    assert [len(column) for column in old] == [384, 1, 384, 768, 384]
    back = decode(rows=[old, new])
    assert all(np.array_equal(getattr(back, name), np.repeat(getattr(slots, name), 2, axis=0)) for name, _ in FIELDS)


def test_bytes_of_an_impossible_length_are_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes are no column"):
        decode(rows=[StoredBlock(b"\0" * 8, b"\3", b"\0" * 4, b"\0" * 8, b"\0" * 4)])


@pytest.mark.parametrize(
    ("watt", "minutes", "wh"), [(4, 15, 1), (1, 30, 1), (2, 15, 1), (1, 15, 0), (7, 60, 7), (-2, 15, 0), (-3, 15, -1)]
)
def test_mean_power_becomes_energy_rounded_half_up(watt: int, minutes: int, wh: int) -> None:
    assert energy_of_mean_power(power_w=np.array([watt]), step_minutes=minutes).tolist() == [wh]


def test_keys_sort_by_usage_point_channel_day_and_step() -> None:
    keys = [BlockKey("b", 1, date(2026, 1, 1), 15), BlockKey("a", 2, date(2026, 1, 1), 15)]
    keys += [BlockKey("a", 1, date(2026, 1, 2), 15), BlockKey("B", 9, date(2026, 1, 1), 60)]
    assert [k.usage_point_id for k in sorted(keys)] == ["B", "a", "a", "b"]


@pytest.mark.parametrize(("step", "slots"), [(15, 96), (30, 48), (60, 24)])
def test_a_day_has_as_many_slots_as_steps_fit_into_1440_minutes(step: int, slots: int) -> None:
    assert slots_per_day(step_minutes=step) == slots
