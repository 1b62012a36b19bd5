"""Fills gaps of a load curve, by days that are like it; every value it makes is marked as estimated.

Method, per missing slot: the mean of the same slot on the (at most four) nearest days of the same weekday and day
kind; where there is none, of days of the same kind; else of any day. Where the registers say how much energy the
period of the gap holds, all missing slots of the period are scaled so that curve and register agree to the Wh.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import MISSING

METHODS = {"same-weekday": 1, "same-kind": 2, "any-day": 3}
NEAREST = 4
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSpan:
    """Days [first, after) of the matrix, and the energy that the registers give for them."""

    first: int
    after: int
    wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEstimate:
    """`values` of the filled slots, MISSING elsewhere; `method` per slot (METHODS, 0 elsewhere).

    `scaled` per day: "register", or why the registers did not scale it: "no-register", or "register-below-curve"
    when the known slots alone exceed the register, which is shown and not hidden by negative estimates.
    """

    values: NDArray[np.int64]
    method: NDArray[np.uint8]
    scaled: tuple[str, ...]


def estimate_gaps(
    *, energy: NDArray[np.int64], weekday: NDArray[np.int64], kind: NDArray[np.int64], wanted: NDArray[np.bool_],
    spans: Sequence[RegisterSpan] = (),
) -> GapEstimate:  # fmt: skip
    """Estimates for the missing slots of the `wanted` days of a matrix (days, slots) of one channel.

    `weekday` 0..6 and `kind` (working day or not) of each day. Slots without any day to learn from stay MISSING.
    `spans` must not overlap; one that holds a missing slot of an unwanted day cannot scale and is left out.
    """
    missing = energy == MISSING
    fill = missing & wanted[:, None]
    method = np.zeros(energy.shape, np.uint8)
    base = np.full(energy.shape, np.nan)
    for day in np.flatnonzero(fill.any(axis=1)).tolist():
        same_kind = kind == kind[day]
        candidates = {
            "same-weekday": same_kind & (weekday == weekday[day]), "same-kind": same_kind,
            "any-day": np.ones(len(energy), bool),
        }  # fmt: skip
        for name, alike in candidates.items():
            open_ = fill[day] & np.isnan(base[day])
            found = _nearest_mean(energy, alike, day)
            base[day, open_] = found[open_]
            method[day, open_ & ~np.isnan(found)] = METHODS[name]
    values = np.where(method > 0, np.floor(np.nan_to_num(base) + 0.5), MISSING).astype(np.int64)
    scaled = ["no-register"] * len(energy)
    for span in spans:
        _scale(values, base, energy, span, fill=fill, missing=missing, scaled=scaled)
    return GapEstimate(values=values, method=method, scaled=tuple(scaled))


def _nearest_mean(energy: NDArray[np.int64], alike: NDArray[np.bool_], day: int) -> NDArray[np.float64]:
    """Per slot the mean over the nearest days that have it; NaN without any. Of equally near days the earlier."""
    days = np.flatnonzero(alike)
    days = days[np.argsort(np.abs(days - day), kind="stable")]
    there = energy[days] != MISSING
    counted = there & (np.cumsum(there, axis=0) <= NEAREST)
    number = counted.sum(axis=0)
    total = np.where(counted, energy[days], 0).sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _scale(
    values: NDArray[np.int64], base: NDArray[np.float64], energy: NDArray[np.int64], span: RegisterSpan,
    *, fill: NDArray[np.bool_], missing: NDArray[np.bool_], scaled: list[str],
) -> None:  # fmt: skip
    rows = slice(span.first, span.after)
    open_ = fill[rows]
    if not open_.any() or (missing[rows] & (values[rows] == MISSING)).any():
        return
    rest = span.wh - int(np.where(missing[rows], 0, energy[rows]).sum())
    possible = rest >= 0
    if possible:
        shape = np.maximum(base[rows][open_], 0)
        shares = _shared_out(rest, shape if shape.sum() > 0 else np.ones_like(shape))
        if shares.max() > _INT32_MAX:
            return
        values[rows][open_] = shares
    for day in np.flatnonzero(open_.any(axis=1)).tolist():
        scaled[span.first + day] = "register" if possible else "register-below-curve"


def _shared_out(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers in proportion to the weights that add up to `total` exactly: borders are rounded, not parts."""
    borders = np.floor(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    borders[-1] = total
    shares: NDArray[np.int64] = np.diff(borders, prepend=0)
    return shares
