"""Proposals for the weights of a score scheme: AHP by pairwise judgement, entropy by spread; TOPSIS as second opinion.

Analysis only. A monthly score weighted by the spread of the month would move with the population, so the score keeps
the fixed weights of its scheme and these are read beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45)
"""Saaty's mean consistency index of random matrices of 1 to 9 criteria."""
CONSISTENT_BELOW = 0.10
Matrix = NDArray[np.float64]


class UnusableMatrix(ValueError):
    """The matrix cannot be weighed; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseWeights:
    weights: tuple[float, ...]
    largest_eigenvalue: float
    consistency_ratio: float
    consistent: bool


def pairwise_weights(*, judgements: Sequence[Sequence[float]]) -> PairwiseWeights:
    """AHP by geometric means of the rows. Raises UnusableMatrix unless it is square, positive and reciprocal."""
    size = len(judgements)
    if any(len(row) != size for row in judgements) or not 1 <= size <= len(RANDOM_INDEX):
        raise UnusableMatrix(f"needs a square matrix of 1 to {len(RANDOM_INDEX)} criteria")
    matrix = np.array(judgements, float)
    if not (np.isfinite(matrix) & (matrix > 0)).all():
        raise UnusableMatrix("every judgement must be a positive number")
    if (off := np.argwhere(np.abs(matrix * matrix.T - 1) > 0.01)).size:
        row, column = off[0].tolist()
        raise UnusableMatrix(f"row {row + 1}, column {column + 1}: must be the reciprocal of the opposite judgement")
    means = np.exp(np.log(matrix).mean(axis=1))
    weights = means / means.sum()
    eigenvalue = float((matrix @ weights / weights).mean())
    index = (eigenvalue - size) / (size - 1) if size > 1 else 0.0
    ratio = index / RANDOM_INDEX[size - 1] if RANDOM_INDEX[size - 1] else 0.0
    return PairwiseWeights(
        weights=tuple(weights.tolist()),
        largest_eigenvalue=eigenvalue,
        consistency_ratio=ratio,
        consistent=ratio < CONSISTENT_BELOW,
    )


def min_max(*, values: Matrix, larger_is_better: Sequence[bool]) -> Matrix:
    """Each column on 0..1 with 1 the best; a column that does not differ is 1 throughout."""
    low, high = values.min(axis=0), values.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    scaled = np.where(np.array(larger_is_better), values - low, high - values) / spread
    return np.where(high > low, scaled, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyWeights:
    entropies: tuple[float, ...]
    weights: tuple[float, ...]


def entropy_weights(*, scaled: Matrix) -> EntropyWeights:
    """Weights by how much a column tells customers apart; `scaled` comes from min_max.

    Raises UnusableMatrix for fewer than two customers or when no column differs.
    """
    if len(scaled) < 2:
        raise UnusableMatrix("needs at least two customers")
    shares = scaled / scaled.sum(axis=0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropies = -(shares * logs).sum(axis=0) / np.log(len(scaled))
    told = 1 - entropies
    if told.sum() <= 1e-12:
        raise UnusableMatrix("no indicator differs between the customers")
    return EntropyWeights(entropies=tuple(entropies.tolist()), weights=tuple((told / told.sum()).tolist()))


def combined_weights(*, judged: Sequence[float], spread: Sequence[float], multiply: bool) -> tuple[float, ...]:
    """Product or mean of the two, summing to 1."""
    both = np.array(judged) * spread if multiply else (np.array(judged) + spread) / 2
    return tuple((both / both.sum()).tolist())


def closeness(*, scaled: Matrix, weights: Sequence[float]) -> tuple[float, ...]:
    """TOPSIS: D- / (D+ + D-) of the weighted min-max values; 0.5 where best and worst coincide."""
    weighted = scaled * np.array(weights)
    to_best = np.sqrt(((weighted - weighted.max(axis=0)) ** 2).sum(axis=1))
    to_worst = np.sqrt(((weighted - weighted.min(axis=0)) ** 2).sum(axis=1))
    whole = to_best + to_worst
    return tuple(np.where(whole > 0, to_worst / np.where(whole > 0, whole, 1), 0.5).tolist())
