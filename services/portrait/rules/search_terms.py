"""Under which words a customer is found: numbers, names, addresses, meters and the initials of the name's pinyin."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice, product
from typing import Literal

TermKind = Literal["customer", "account", "usage-point", "meter", "name", "former-name", "address", "initials"]
MOST_READINGS = 8
"""Of a name with characters that are read in several ways."""


def folded(text: str) -> str:
    """One form for full and half width, upper and lower case, with and without blanks."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def initials(readings: Sequence[Sequence[str]]) -> list[str]:
    """Every combination of first letters, at most MOST_READINGS; `readings` holds those of each character."""
    letters = [list(dict.fromkeys(r[0].lower() for r in each if r)) for each in readings]
    combined = ("".join(word) for word in product(*[each for each in letters if each]))
    return [word for word in islice(combined, MOST_READINGS) if word]


def terms(
    *,
    numbers: Iterable[tuple[TermKind, str]],
    texts: Iterable[tuple[TermKind, str]],
    name_initials: Iterable[str],
) -> set[tuple[TermKind, str]]:
    """Folded terms by kind; empty ones are left out."""
    said = [*numbers, *texts, *(("initials", word) for word in name_initials)]
    return {(kind, folded(text)) for kind, text in said if folded(text)}
