"""Which terms of an account count on a day."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol, TypeVar


class _Period(Protocol):
    @property
    def account_id(self) -> Any: ...
    @property
    def valid_from(self) -> Any: ...
    @property
    def valid_to(self) -> Any: ...


Period = TypeVar("Period", bound=_Period)


def terms_in_force(periods: Sequence[Period], *, day: date) -> list[Period]:
    """One period per account: the one in force on `day`, else the one that begins next, else the last that held.

    `valid_to` is the first day no longer in force; the periods come by rising start.
    """
    best: dict[str, tuple[int, Period]] = {}
    for period in periods:
        held = period.valid_from <= day and (period.valid_to is None or day < period.valid_to)
        rank = 2 if held else 1 if period.valid_from > day else 0
        known = best.get(period.account_id)
        # The next to begin is met first, the last that held is met last.
        if known is None or rank > known[0] or (rank == known[0] == 0):
            best[period.account_id] = (rank, period)
    return [period for _, period in best.values()]
