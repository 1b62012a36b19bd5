"""What the whole month will use, from what it has used so far."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.day_block import MISSING

Method = Literal["linear", "by-profile"]
_LOWEST_LEVEL, _HIGHEST_LEVEL = 0.25, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """`method` is the one that was possible: without days to learn from a profile becomes linear."""

    total_wh: int
    method: Method


def project_month(
    *, energy: NDArray[np.int64], kind: NDArray[np.int64], history: NDArray[np.int64],
    history_kind: NDArray[np.int64], method: Method,
) -> Projection | None:  # fmt: skip
    """`energy` (days of the month, slots), MISSING where nothing is known yet; None when nothing is known at all.

    linear: the mean of the known slots goes on. by-profile: the mean slot of days of the same kind in `history`,
    scaled to the level of the month so far, stands for every slot not known; so a Friday's projection knows the
    weekend.
    """
    known = energy != MISSING
    if not known.any():
        return None
    used = int(energy[known].sum())
    linear = Projection(total_wh=round(used / int(known.sum()) * energy.size), method="linear")
    if method == "linear":
        return linear
    profile = np.stack([_mean_day(history[history_kind == k]) for k in kind.tolist()])
    if np.isnan(profile).any():
        return linear
    expected = float(profile[known].sum())
    if expected <= 0:
        return linear
    level = min(max(used / expected, _LOWEST_LEVEL), _HIGHEST_LEVEL)
    return Projection(total_wh=round(used + level * float(profile[~known].sum())), method="by-profile")


def _mean_day(days: NDArray[np.int64]) -> NDArray[np.float64]:
    there = days != MISSING
    number = there.sum(axis=0)
    total = np.where(there, days, 0).sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
