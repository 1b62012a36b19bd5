"""Which of several statements about a person's address is used: pure.

The person's own word goes before that of the customer's administrator, that before the account manager's, that
before the archive's; an address known not to work goes behind all that may work.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Source = Literal["person", "customer", "manager", "archive"]
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """`index` is the blind index of the value: equal values, equal index."""

    source: str
    index: bytes
    said_at: datetime
    usable: bool = True


def in_force(statements: Iterable[Statement]) -> Statement | None:
    return min(statements, key=lambda s: (not s.usable, SOURCES.index(_source(s))), default=None)


def conflict(statements: Iterable[Statement]) -> tuple[Statement, Statement] | None:
    """The local statement that corrects the archive, and the archive's, while they differ."""
    known = list(statements)
    archive = next((s for s in known if s.source == "archive"), None)
    local = in_force(s for s in known if s.source != "archive")
    if archive is None or local is None or local.index == archive.index:
        return None
    return local, archive


def _source(statement: Statement) -> Source:
    for source in SOURCES:
        if source == statement.source:
            return source
    raise ValueError(f"no such source of contacts: {statement.source}")
