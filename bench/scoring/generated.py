"""A generated population: shapes of measured sites, scaled, shifted and with noise, the same for the same seed.

Nothing of it is a customer: names and ids say that they are generated. Intervals are made for a block of customers and
a month at a time, and leave as the product's own month facts (services/portrait/rules/month_facts.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deploy.demo.measured import site_profiles, steel_plant
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.month_facts import Facts, MonthSums, month_facts

SEED = 20_260_112
SLOTS = 96
BLOCK = 1_000
"""Customers generated together; the random numbers of a block depend on seed and block alone."""
MONTHS = tuple(date(2025, month, 1) for month in range(1, 13))
SHAPES = ("steel", "LP_G_MH", "LP_G_MV", "LP_Ö_Büro_k", "LP_Ö_Schule_g", "LP_Ö_Schule_k")
INDUSTRIES = ("C3130", "F5283", "C3311", "L7212", "P8334", "P8321")
SHIFTS = ("continuous", "one", "two", "one", "one", "one")
_NOISE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Block:
    """Customers [first, first + count): who they are. Arrays are (count,)."""

    first: int
    count: int
    shape: NDArray[np.int64]
    scale: NDArray[np.float32]
    shift_slots: NDArray[np.int64]
    reactive_permille: NDArray[np.int64]
    """Lagging energy per active energy; 0 where no reactive energy is metered."""
    contract_kva: NDArray[np.int64]
    contract_demand_kw: NDArray[np.int64]

    def customer_id(self, place: int) -> str:
        return f"G-{self.first + place + 1:07d}"

    def customer_ids(self) -> list[str]:
        return [self.customer_id(place) for place in range(self.count)]


@dataclass(frozen=True, kw_only=True)
class BlockMonth:
    """Energy in Wh per interval (count, days, SLOTS), and reactive energy in varh per day (count, days)."""

    month: date
    energy_wh: NDArray[np.int32]
    lagging_varh: NDArray[np.int64]
    leading_varh: NDArray[np.int64]
    reactive: NDArray[np.bool_]

    def facts(self) -> Facts:
        present = self.energy_wh != MISSING
        energy = np.where(present, self.energy_wh, 0)
        sums = MonthSums(
            energy_wh=energy.reshape(len(energy), -1).sum(axis=1, dtype=np.int64),
            minutes=present.sum(axis=(1, 2)) * 15,
            expected_minutes=np.full(len(self.energy_wh), self.energy_wh.shape[1] * 1440),
            lagging_varh=self.lagging_varh.sum(axis=1),
            leading_varh=self.leading_varh.sum(axis=1),
            reactive=self.reactive,
        )
        return month_facts(month=self.month, step_minutes=15, energy_wh=self.energy_wh, sums=sums)


@cache
def _year() -> NDArray[np.float32]:
    """(SHAPES, 365, SLOTS): the measured years in Wh, by month and day of 2025; gaps take the slot's mean."""
    found: dict[str, dict[date, list[int | None]]] = {"steel": {}}
    for channel, day, values in steel_plant():
        if channel == "active-import":
            found["steel"][day] = values
    for name, day, values in site_profiles(yearly_mwh=dict.fromkeys(SHAPES[1:], 1_000.0)):
        found.setdefault(name, {})[day] = values
    years = np.full((len(SHAPES), 365, SLOTS), np.nan, np.float32)
    for place, name in enumerate(SHAPES):
        for day, values in found[name].items():
            if day.year == 2025:
                years[place, day.timetuple().tm_yday - 1] = [np.nan if v is None else v for v in values]
        missing = np.isnan(years[place])
        years[place][missing] = np.broadcast_to(np.nanmean(years[place], axis=0), (365, SLOTS))[missing]
    return years


@cache
def _noise() -> NDArray[np.float32]:
    pool = np.random.default_rng([SEED, 1]).normal(1, 0.06, _NOISE).astype(np.float32)
    return np.clip(pool, 0.5, 1.6)


def block(number: int, *, count: int = BLOCK) -> Block:
    rng = np.random.default_rng([SEED, 2, number])
    shape = rng.integers(0, len(SHAPES), count)
    scale = np.exp(rng.normal(0, 0.9, count)).astype(np.float32)
    peak_kw = _year().max(axis=(1, 2))[shape] * 4 / 1000 * scale
    metered = rng.random(count) < 0.9
    return Block(
        first=number * BLOCK,
        count=count,
        shape=shape,
        scale=scale,
        shift_slots=rng.integers(-4, 5, count),
        reactive_permille=np.where(metered, rng.integers(150, 700, count), 0),
        contract_kva=np.maximum(50, peak_kw * rng.uniform(1.1, 3.0, count)).astype(np.int64),
        contract_demand_kw=np.where(rng.random(count) < 0.5, peak_kw * rng.uniform(0.8, 1.2, count), 0).astype(
            np.int64
        ),
    )


def _alike(who: Block) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Who has the same shape, shifted alike."""
    kind = who.shape * SLOTS + who.shift_slots + SLOTS // 2
    return {
        (number // SLOTS, number % SLOTS - SLOTS // 2): np.flatnonzero(kind == number)
        for number in np.unique(kind).tolist()
    }


def months(who: Block) -> Iterator[BlockMonth]:
    """The year of a block, month by month; one customer in fifty has gaps, one in two hundred loses a month."""
    rng = np.random.default_rng([SEED, 3, who.first])
    years, noise = _year(), _noise()
    alike = _alike(who)
    gappy, silent = rng.random(who.count) < 0.02, rng.random(who.count) < 0.005
    for number, month in enumerate(MONTHS):
        days = ((month + timedelta(days=32)).replace(day=1) - month).days
        begin = month.timetuple().tm_yday - 1
        base = years[:, begin : begin + days]
        energy = np.empty((who.count, days, SLOTS), np.int32)
        offsets = rng.integers(0, _NOISE - days * SLOTS, who.count)
        windows = sliding_window_view(noise, days * SLOTS)
        for (shape, shift), places in alike.items():
            own = np.roll(base[shape], shift, axis=1) * who.scale[places, None, None]
            energy[places] = own * windows[offsets[places]].reshape(own.shape)
        holes = gappy[:, None] & (rng.random((who.count, days)) < 0.08)
        if number == 5:
            holes[silent] = True
        daily = np.where(holes, 0, energy.sum(axis=2, dtype=np.int64))
        energy[holes] = MISSING
        yield BlockMonth(
            month=month,
            energy_wh=energy,
            lagging_varh=daily * who.reactive_permille[:, None] // 1000,
            leading_varh=daily * who.reactive_permille[:, None] // 20_000,
            reactive=who.reactive_permille > 0,
        )
