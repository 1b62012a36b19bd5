"""What a chunk of a scoring run reads is the chunk: no statement walks on to the end of the population."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import asyncpg
import pytest

from services.portrait.scoring import agreements, engine, month_facts
from tests.integration.portrait.house import Portrait

MONTH, AFTER = date(2026, 6, 1), date(2026, 7, 1)
READS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "customers": (engine._CUSTOMERS, ()),
    "facts": (engine._FACTS, (MONTH, AFTER)),
    "heads": (engine._HEADS, (MONTH, AFTER)),
    "bands": (engine._BANDS_BEFORE, ("2026-06",)),
    "stale facts": (month_facts._STALE, (MONTH, AFTER)),
    "terms": (agreements._TERMS, ()),
    "shifts": (agreements._SHIFTS, ()),
}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


@pytest.mark.parametrize("up_to_id", ["C-2", None], ids=["a chunk", "the last chunk"])
@pytest.mark.parametrize("name", READS)
async def test_both_ends_of_a_chunk_bound_the_index_in_a_plan_for_any_chunk(
    portrait: Portrait, name: str, up_to_id: str | None
) -> None:
    sql, more = READS[name]
    connection = await asyncpg.connect(portrait.dsn)
    try:
        # As after five chunks, and as in a population that is not as small as that of a test.
        await connection.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        await connection.execute("SET enable_bitmapscan = off")
        await connection.execute(f"PREPARE wanted AS {sql}")
        said = ", ".join("NULL" if v is None else f"'{v}'" for v in ("C-1", up_to_id, *more))
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE wanted({said})")
    finally:
        await connection.close()
    [explained] = json.loads(found)
    conditions = [n.get("Index Cond", "") for n in _nodes(explained["Plan"])]
    filters = [n.get("Filter", "") for n in _nodes(explained["Plan"])]
    assert any("customer_id" in c and "> $1" in c and "<= COALESCE($2" in c for c in conditions), explained
    assert not any("$2" in f for f in filters), filters
