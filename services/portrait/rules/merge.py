"""Overlay of offered slots on day blocks. The winner of a slot is the greatest offer in a total order, so the
result is the same for every order, repetition and grouping of the offers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import FIELDS, FROM_MEAN_POWER, MISSING, QUALITIES, WIDTH, BlockKey, Slots


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCounts:
    """What became of the offers; the four add up to their number."""

    stored: int = 0
    """Filled a slot nobody had reported."""
    replaced: int = 0
    """Won against the value that was there."""
    duplicates: int = 0
    """Said exactly what is there already."""
    superseded: int = 0
    """Lost: an older revision, a worse quality, an earlier source time."""

    @property
    def ignored(self) -> int:
        return self.duplicates + self.superseded

    def __add__(self, other: "MergeCounts") -> "MergeCounts":
        return MergeCounts(
            stored=self.stored + other.stored,
            replaced=self.replaced + other.replaced,
            duplicates=self.duplicates + other.duplicates,
            superseded=self.superseded + other.superseded,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferBatch:
    """Offers for slots of many blocks. `keys` are distinct and ascending; `cells[i] = block * WIDTH + slot`."""

    keys: Sequence[BlockKey]
    offers: Slots
    cells: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    slots: Slots
    changed: NDArray[np.bool_]
    """Which blocks differ from before."""
    counts: MergeCounts


def overlay(*, blocks: Slots, offers: Slots, cells: NDArray[np.int64]) -> Merged:
    """Lay `offers` on `blocks`; `cells[i] = block * WIDTH + slot` says where offer i belongs.

    Order: revision, quality rank (a metered energy before one derived from mean power), source time, hash of
    source and event id, and last the value itself, so that no two different offers are equal.
    """
    merged = blocks.copy()
    flat = Slots(**{name: getattr(merged, name).reshape(-1) for name, _ in FIELDS})
    best, repeated = _best_per_cell(offers, cells, size=flat.value.size)
    losers = len(cells) - len(best)
    chosen, at = offers[best], cells[best]
    there = flat[at]
    free = ~there.present
    greater, equal = _compare(chosen, there)
    wins = free | greater
    where = at[wins]
    for name, _ in FIELDS:
        getattr(flat, name)[where] = getattr(chosen, name)[wins]
    changed = np.zeros(len(blocks.value), bool)
    changed[where // WIDTH] = True
    stored, replaced, same = int(free.sum()), int((greater & ~free).sum()), int((equal & ~free).sum())
    counts = MergeCounts(
        stored=stored,
        replaced=replaced,
        duplicates=same + repeated,
        superseded=len(best) - stored - replaced - same + losers - repeated,
    )
    return Merged(slots=merged, changed=changed, counts=counts)


def _best_per_cell(offers: Slots, cells: NDArray[np.int64], *, size: int) -> tuple[NDArray[np.int64], int]:
    """Index of the greatest offer of each cell, and how many of the others say exactly the same as it."""
    last = np.full(size, -1, np.int64)
    last[cells] = np.arange(len(cells))
    lost = last[cells] != np.arange(len(cells))
    if not lost.any():
        return np.arange(len(cells)), 0
    contested_cell = np.zeros(size, bool)
    contested_cell[cells[lost]] = True
    contested = np.flatnonzero(contested_cell[cells])
    some = offers[contested]
    order = np.lexsort((*_order(some)[::-1], cells[contested]))
    group = cells[contested][order]
    ends = np.append(group[1:] != group[:-1], True)
    winner_of = np.flatnonzero(ends)[np.cumsum(ends) - ends]
    ranked = some[order]
    _, same = _compare(ranked, ranked[winner_of])
    best = np.concatenate([np.flatnonzero(~contested_cell[cells]), contested[order[ends]]])
    return best, int((same & ~ends).sum())


def _order(slots: Slots) -> tuple[NDArray[np.int64], ...]:
    """The keys of the total order, most significant first."""
    metered = (slots.quality & FROM_MEAN_POWER) == 0
    rank = (slots.quality & ~np.uint8(FROM_MEAN_POWER)).astype(np.int64) * 2 + metered
    keys = (slots.revision, rank, slots.source_time_us, slots.tie, slots.value)
    return tuple(key.astype(np.int64, copy=False) for key in keys)


def _compare(left: Slots, right: Slots) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Elementwise (left > right, left == right) in the total order."""
    greater = np.zeros(len(left.value), bool)
    equal = np.ones(len(left.value), bool)
    for a, b in zip(_order(left), _order(right), strict=True):
        greater |= equal & (a > b)
        equal &= a == b
    return greater, equal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRollups:
    """One number per block; energies in Wh or varh. Slots of equal energy count as the earlier one."""

    total: NDArray[np.int64]
    maximum: NDArray[np.int64]
    maximum_slot: NDArray[np.int64]
    minimum: NDArray[np.int64]
    minimum_slot: NDArray[np.int64]
    present: NDArray[np.int64]
    estimated: NDArray[np.int64]


def day_rollups(*, slots: Slots) -> DayRollups:
    """Rollups of matrix rows that hold at least one present slot each."""
    present = slots.present
    value = slots.value.astype(np.int64)
    rows = np.arange(len(value))
    highest = value.argmax(axis=1)  # MISSING is the smallest number there is
    lowest = np.where(present, value, -MISSING).argmin(axis=1)
    estimated = (slots.quality & ~np.uint8(FROM_MEAN_POWER)) == QUALITIES["estimated"]
    return DayRollups(
        total=np.where(present, value, 0).sum(axis=1),
        maximum=value[rows, highest],
        maximum_slot=highest.astype(np.int64),
        minimum=value[rows, lowest],
        minimum_slot=lowest.astype(np.int64),
        present=present.sum(axis=1),
        estimated=estimated.sum(axis=1),
    )
