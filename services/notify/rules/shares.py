"""How many of the next messages each priority may take, so that urgent ones go first and bills still go."""

from collections.abc import Sequence

WEIGHTS = (8, 4, 2, 1)
"""P0 ... P3. What a priority does not use goes to the most urgent that waits."""


def guaranteed(room: int, *, weights: Sequence[int] = WEIGHTS) -> tuple[int, ...]:
    """Parts of `room` in proportion to the weights, by largest remainder; every priority gets one where room allows."""
    if room <= 0:
        return (0,) * len(weights)
    total = sum(weights)
    parts = [room * w // total for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda p: (-(room * weights[p] % total), p))
    for priority in by_remainder[: room - sum(parts)]:
        parts[priority] += 1
    for priority in range(len(parts)):
        richest = max(range(len(parts)), key=lambda p: parts[p])
        if parts[priority] == 0 and parts[richest] > 1:
            parts[richest] -= 1
            parts[priority] = 1
    return tuple(parts)
