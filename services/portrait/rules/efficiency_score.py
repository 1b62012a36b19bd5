"""The monthly efficiency score: fixed threshold functions and weights, so that a month compares with the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor

from services.portrait.rules.load_indicators import in_order
from services.portrait.rules.measured import Measured
from services.portrait.rules.shift_pattern import Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredIndicator:
    """`points` are (value, sub-score 0..100) with rising values; between them the sub-score is linear, beyond flat."""

    code: str
    weight: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreScheme:
    """Thresholds and weights for one industry group and shift class; `version` names both."""

    version: str
    industries: tuple[str, ...]
    """Beginnings of GB/T 4754 classes; the empty one stands for all."""
    shift: Shift
    indicators: tuple[ScoredIndicator, ...]
    minimum_completeness: float
    minimum_weight: float
    """Share of the weights that must have a value; the rest is spread over what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Points of the total that an indicator costs."""

    code: str
    points: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficiencyScore:
    """`score` and `band` are None exactly when `not_scored_because` is a key of measured.REASONS."""

    score: float | None
    band: str | None
    sub_scores: Mapping[str, float]
    left_out: Mapping[str, str]
    """Indicator -> why it has no value."""
    largest_losses: tuple[Loss, ...]
    not_scored_because: str | None
    scheme_version: str


def sub_score(*, value: float, points: Sequence[tuple[float, float]]) -> float:
    """Piecewise linear through `points`."""
    if value <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if value <= x1:
            return y0 + (y1 - y0) * (value - x0) / (x1 - x0)
    return points[-1][1]


BANDS: tuple[tuple[float, str], ...] = ((90, "A"), (80, "B"), (70, "C"), (60, "D"), (0, "E"))
"""Lowest score of each band."""


def band_of(*, score: float) -> str:
    return next(band for border, band in BANDS if score >= border)


def efficiency_score(*, values: Mapping[str, Measured], completeness: Measured, scheme: ScoreScheme) -> EfficiencyScore:
    """0..100 to two decimals, with sub-scores and the three largest losses, or the reason why there is none."""
    there = {i.code: values[i.code].value for i in scheme.indicators if i.code in values}
    scores = {
        i.code: sub_score(value=value, points=i.points)
        for i in scheme.indicators
        if (value := there.get(i.code)) is not None
    }
    left_out = {
        i.code: (values[i.code].reason if i.code in values else None) or "no-data"
        for i in scheme.indicators
        if i.code not in scores
    }
    weight = in_order([i.weight for i in scheme.indicators if i.code in scores])
    refused = _refusal(completeness, weight / in_order([i.weight for i in scheme.indicators]), scheme)
    if refused:
        return EfficiencyScore(
            score=None,
            band=None,
            sub_scores=scores,
            left_out=left_out,
            largest_losses=(),
            not_scored_because=refused,
            scheme_version=scheme.version,
        )
    share = {i.code: i.weight / weight for i in scheme.indicators if i.code in scores}
    total = _two_decimals(in_order([share[code] * value for code, value in scores.items()]))
    losses = [Loss(code=code, points=_two_decimals(share[code] * (100 - value))) for code, value in scores.items()]
    losses.sort(key=lambda loss: (-loss.points, loss.code))
    return EfficiencyScore(
        score=total,
        band=band_of(score=total),
        sub_scores={code: _two_decimals(value) for code, value in scores.items()},
        left_out=left_out,
        largest_losses=tuple(loss for loss in losses[:3] if loss.points > 0),
        not_scored_because=None,
        scheme_version=scheme.version,
    )


def _refusal(completeness: Measured, weight_share: float, scheme: ScoreScheme) -> str | None:
    if completeness.value is None:
        return completeness.reason
    if completeness.value < scheme.minimum_completeness:
        return "incomplete-data"
    return "too-few-indicators" if weight_share < scheme.minimum_weight else None


def _two_decimals(value: float) -> float:
    # 69.99499999999999 is a 69.995 that binary fractions cannot say; what lies within 1e-9 of a half counts as one.
    return floor(value * 100 + 0.5 + 1e-7) / 100
