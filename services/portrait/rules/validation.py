"""Checks of interval data. They mark slots and never change or drop a value."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import FROM_MEAN_POWER, MISSING, QUALITIES

MARKS = {"negative": 1, "spike": 2, "frozen": 4, "questionable": 8}
"""Name -> bit of the mark byte of a slot; a slot may carry several. `questionable` is the source's own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationLimits:
    """Dated parameters of the checks; proposals of this project, no regulation names them."""

    version: str = "demo-1"
    effective_from: date = date(2020, 1, 1)
    status: str = "needs_verification"
    spike_factor: float = 1.5
    """An interval is a spike when its mean load is above the contract capacity times this."""
    frozen_minutes: int = 360
    """So long may the same energy above zero repeat; a plant at rest (zero) is no stuck meter."""


def slot_marks(
    *, energy: NDArray[np.int64], quality: NDArray[np.uint8], step_minutes: int, capacity_kva: NDArray[np.float64],
    limits: ValidationLimits,
) -> NDArray[np.uint8]:  # fmt: skip
    """Marks of a matrix (blocks, slots) of Wh or varh, MISSING where unreported; a NaN capacity checks no spike."""
    present = energy != MISSING
    marks = np.zeros(energy.shape, np.uint8)
    marks[present & (energy < 0)] |= MARKS["negative"]
    most_wh = capacity_kva * 1000 * step_minutes / 60 * limits.spike_factor
    with np.errstate(invalid="ignore"):
        marks[present & (energy > most_wh[:, None])] |= MARKS["spike"]
    frozen = _run_lengths(energy) >= max(2, limits.frozen_minutes // step_minutes)
    marks[frozen & present & (energy > 0)] |= MARKS["frozen"]
    said = (quality & ~np.uint8(FROM_MEAN_POWER)) == QUALITIES["questionable"]
    marks[present & said] |= MARKS["questionable"]
    return marks


def _run_lengths(energy: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each slot the length of the run of equal values that it lies in."""
    blocks, slots = energy.shape
    starts = np.ones((blocks, slots), bool)
    starts[:, 1:] = energy[:, 1:] != energy[:, :-1]
    run_of = np.cumsum(starts.ravel()) - 1
    lengths: NDArray[np.int64] = np.bincount(run_of)[run_of].reshape(blocks, slots)
    return lengths


def marks_of(code: int) -> list[str]:
    return [name for name, bit in MARKS.items() if code & bit]
