"""What keeps a customer off the list of target customers for value-added service."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

VETOES: dict[str, tuple[str, str]] = {
    "theft-in-window": ("近期有窃电记录", "electricity theft within the window"),
    "arrears-open": ("有未结清欠费", "arrears are open"),
    "violation-in-window": ("近期有违约用电记录", "a breach of use within the window"),
}
"""Code -> text in Chinese and English. Internal: no customer route shows it."""


class Breach(NamedTuple):
    day: date
    theft: bool


def target_vetoes(
    *, breaches: Sequence[Breach], arrears_open: bool, as_of: date, theft_months: int, violation_months: int
) -> tuple[str, ...]:
    """Theft within `theft_months`, any breach within `violation_months`, open arrears: proposals of the house."""
    past = [b for b in breaches if b.day <= as_of]
    found = {
        "theft-in-window": any(b.theft and _months_begun(b.day, as_of) <= theft_months for b in past),
        "arrears-open": arrears_open,
        "violation-in-window": any(_months_begun(b.day, as_of) <= violation_months for b in past),
    }
    return tuple(code for code, holds in found.items() if holds)


def _months_begun(earlier: date, later: date) -> int:
    """The day after an anniversary already counts as the next month."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month + (later.day > earlier.day)
