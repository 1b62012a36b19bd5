"""Where a customer stands among its peers, and when that may not be told."""

from bisect import bisect_left
from collections.abc import Sequence

LEAST_PEERS = 8
SIZE_BORDERS_KVA = (315, 1_000, 5_000, 20_000)
"""Contract capacity; at the border the larger size. Practice of the house, dated with its code."""
SIZES = ("S1", "S2", "S3", "S4", "S5")

WITHHELD: dict[str, tuple[str, str]] = {
    "too-few-peers": ("同类客户不足8户，不发布对比", "fewer than 8 peers: no comparison is given"),
    "one-dominates": (
        "同类中一户用电量超过一半，不发布对比",
        "one of the peers uses more than half of the energy: no comparison is given",
    ),
}
"""A neighbour's consumption could be inferred otherwise."""


def size_class(*, contract_kva: float) -> str:
    return SIZES[sum(contract_kva >= border for border in SIZE_BORDERS_KVA)]


def peer_group(*, industry_class: str, contract_kva: float) -> str:
    """GB/T 4754 section and division, and size: `C31-S3`."""
    return f"{industry_class[:3] or '?'}-{size_class(contract_kva=contract_kva)}"


def withheld_because(*, peers: int, energy_wh: int, largest_wh: int) -> str | None:
    """A key of WITHHELD, or None when the comparison may be given. `peers` counts the customer itself."""
    if peers < LEAST_PEERS:
        return "too-few-peers"
    return "one-dominates" if 2 * largest_wh > energy_wh else None


def percentile(*, score: float, sorted_scores: Sequence[float]) -> float:
    """Share in percent of the other peers with a lower score; the customer itself is one of `sorted_scores`."""
    return 100 * bisect_left(sorted_scores, score) / (len(sorted_scores) - 1)
