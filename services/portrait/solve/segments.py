"""k-means with the number of segments chosen by silhouette: a look at the population beside the class rules."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SILHOUETTE_SAMPLE = 5_000
"""Customers drawn for a silhouette, whose cost grows with their square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    labels: npt.NDArray[np.int64]
    """Segment by customer, numbered by falling size."""
    centres: npt.NDArray[np.float64]
    """Row per segment, in standard deviations of each column."""
    silhouettes: Mapping[int, float]
    """Mean silhouette by number of segments tried, -1 to 1; the highest was taken, the smaller number if equal."""


def segments(*, standardised: npt.NDArray[np.float64], fewest: int, most: int, seed: int) -> Segments:
    """`standardised`: one row per customer. Needs more distinct rows than `fewest`; the same seed gives the same.

    Raises ValueError when there are too few distinct customers to part.
    """
    # Here, since it takes longer to import than all the rest of the service, and a monthly job alone needs it.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    distinct = len(np.unique(standardised, axis=0))
    if distinct <= fewest:
        raise ValueError(f"{distinct} distinct customers cannot be parted into {fewest} segments")
    tried = {}
    for k in range(fewest, min(most, distinct - 1) + 1):
        model = KMeans(n_clusters=k, n_init=5, random_state=seed).fit(standardised)
        size = min(SILHOUETTE_SAMPLE, len(standardised))
        value = silhouette_score(standardised, model.labels_, sample_size=size, random_state=seed)
        tried[k] = (float(value), model)
    best = max(tried, key=lambda k: (tried[k][0], -k))
    model = tried[best][1]
    order = np.argsort(-np.bincount(model.labels_, minlength=best), kind="stable")
    rank = np.empty(best, dtype=np.int64)
    rank[order] = np.arange(best)
    return Segments(
        labels=rank[model.labels_],
        centres=model.cluster_centers_[order],
        silhouettes={k: value for k, (value, _) in tried.items()},
    )
