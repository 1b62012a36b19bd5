"""Marks the facts of customers' months as stale where something below them changed (scoring/month_facts.py, ADR 7).

The mark locks the row of the month until the writer commits, also when it stands already. So whoever refreshes the
month sees either the change or the mark, and nothing is recomputed that nobody asks for.
"""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_INTO = "INSERT INTO portrait.month_facts (customer_id, month, stale, facts)"
_KEEP = "ON CONFLICT (customer_id, month) DO UPDATE SET stale = true WHERE NOT month_facts.stale"
_MARK = f"""
{_INTO} SELECT DISTINCT h.customer_id, k.month, true, ''::bytea
FROM unnest($1::text[], $2::date[]) AS k(usage_point_id, month)
JOIN portrait.usage_point_holder h ON h.usage_point_id = k.usage_point_id
  AND h.from_day < (k.month + interval '1 month')::date AND (h.to_day IS NULL OR h.to_day > k.month)
ORDER BY 1, 2 {_KEEP}"""
_MARK_HOLDERS = f"""
{_INTO} SELECT DISTINCT h.customer_id, m.month, true, ''::bytea FROM portrait.usage_point_holder h, LATERAL (
  SELECT date_trunc('month', b.day)::date FROM portrait.interval_block b WHERE b.usage_point_id = $1
  UNION SELECT f.month FROM portrait.month_facts f WHERE f.customer_id = h.customer_id) AS m(month)
WHERE h.usage_point_id = $1 ORDER BY 1, 2 {_KEEP}"""


async def mark_stale(connection: Connection, *, changed: Iterable[tuple[str, date]]) -> None:
    """Blocks of these (usage point, day) changed; in the transaction that changed them."""
    months = sorted({(point, day.replace(day=1)) for point, day in changed})
    if months:
        points, firsts = zip(*months, strict=True)
        await connection.execute(_MARK, list(points), list(firsts))


async def mark_holders_stale(connection: Connection, *, usage_point_id: str) -> None:
    """All months of whoever holds the usage point at any time; before and after its holders change."""
    await connection.execute(_MARK_HOLDERS, usage_point_id)
