"""The efficiency score of many months at once under one scheme: efficiency_score.py, bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.efficiency_score import BANDS, ScoreScheme
from services.portrait.rules.measured import REASONS
from services.portrait.rules.month_arrays import REASON_NAMES, Floats, MeasuredArray

_CODES = {reason: code for code, reason in enumerate(REASON_NAMES)}
NO_BAND = len(BANDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreArrays:
    """`score` is NaN and `band` NO_BAND exactly where `not_scored` is not 0 (an index of REASON_NAMES)."""

    score: Floats
    band: NDArray[np.uint8]
    not_scored: NDArray[np.uint8]


def score_arrays(
    *, values: Mapping[str, MeasuredArray], completeness: MeasuredArray, scheme: ScoreScheme
) -> ScoreArrays:
    """Scores of all records, which must all fall under `scheme`."""
    count = len(completeness.value)
    points, there, weight = [], [], np.zeros(count)
    for indicator in scheme.indicators:
        found = values[indicator.code]
        has_value = found.reason == 0
        points.append(_sub_scores(found.value, indicator.points))
        there.append(has_value)
        weight += np.where(has_value, indicator.weight, 0.0)
    total = np.zeros(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        for indicator, sub_score, has_value in zip(scheme.indicators, points, there, strict=True):
            total += np.where(has_value, indicator.weight / weight * sub_score, 0.0)
    whole = 0.0
    for indicator in scheme.indicators:
        whole += indicator.weight
    refused = completeness.reason.copy()
    refused[(refused == 0) & (completeness.value < scheme.minimum_completeness)] = _CODES["incomplete-data"]
    refused[(refused == 0) & (weight / whole < scheme.minimum_weight)] = _CODES["too-few-indicators"]
    score = np.where(refused == 0, np.floor(total * 100 + 0.5 + 1e-7) / 100, np.nan)
    band = np.full(count, NO_BAND - 1, np.uint8)
    for position in range(len(BANDS) - 2, -1, -1):
        band[score >= BANDS[position][0]] = position
    band[refused != 0] = NO_BAND
    return ScoreArrays(score=score, band=band, not_scored=refused)


def _sub_scores(values: Floats, points: tuple[tuple[float, float], ...]) -> Floats:
    xs, ys = np.array([x for x, _ in points]), np.array([y for _, y in points])
    left = np.searchsorted(xs[1:-1], values, side="left")
    inner = ys[left] + np.diff(ys)[left] * (values - xs[left]) / np.diff(xs)[left]
    bounded: Floats = np.where(values <= xs[0], ys[0], np.where(values > xs[-1], ys[-1], inner))
    return bounded


assert set(REASONS) == set(REASON_NAMES[1:])
