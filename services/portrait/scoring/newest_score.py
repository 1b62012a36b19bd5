"""The newest score of one customer from its block, without the view: what a portrait shows, found by keys alone.

The same as the first of `results.published_scores`; tests/access/test_hot_reads.py compares the two.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, Select, func, select

from services.portrait import tables as t
from services.portrait.customers.calendar import month_name, shifted
from services.portrait.rules.score_block import RECORD
from services.portrait.rules.stored_indicators import STORED_REASONS

_HEAD = np.dtype([(name, RECORD[name]) for name in (RECORD.names or ())[:-1]])
"""All but the indicators, which take the rest: a record stored before a code was appended is shorter."""


@dataclass(frozen=True, kw_only=True)
class NewestScore:
    """As the view `score` shows it, with when its run was published."""

    month: str
    run_id: UUID
    score: float | None
    band: str | None
    not_scored_because: str | None
    scheme_version: str
    indicators: bytes
    published_at: datetime


def newest_block(*, customer_id: ColumnElement[str]) -> Select[Any]:
    """Of the published runs that reach furthest, the newest; its last month is the newest score."""
    b, r = t.score_block.c, t.score_run.c
    return (
        select(
            b.run_id,
            b.first_month,
            b.months,
            b.records,
            r.schemes,
            r.published_at,
        )
        .join(t.score_run, r.run_id == b.run_id)
        .where(b.customer_id == customer_id, r.published_at.is_not(None), ~r.trial)
        .order_by((b.first_month + func.make_interval(0, b.months)).desc(), r.published_at.desc(), b.run_id)
        .limit(1)
    )


def newest_score(block: Any) -> NewestScore:
    """A row of `newest_block`."""
    last = block.records[-(len(block.records) // block.months) :]
    (head,) = np.frombuffer(last, _HEAD, 1)
    hundredths, band, scheme = int(head["hundredths"]), int(head["band"]), int(head["scheme"])
    return NewestScore(
        month=month_name(shifted(block.first_month, months=block.months - 1)),
        run_id=block.run_id,
        score=hundredths / 100 if hundredths >= 0 else None,
        band=chr(band) if band else None,
        not_scored_because=STORED_REASONS[head["not_scored"]] or None,
        scheme_version=block.schemes[scheme] if 0 <= scheme < len(block.schemes) else "",
        indicators=last[_HEAD.itemsize :] if head["measured"] else b"",
        published_at=block.published_at,
    )
