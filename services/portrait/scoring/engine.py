"""Scores a range of customers over months: few raw reads, arrays for all of them at once, one statement to store them.

The pure rules for one customer are the measure: tests hold these arrays to them, bit for bit.
"""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.portrait.customers.calendar import month_name, shifted
from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.rules import month_facts as facts_rule
from services.portrait.rules.month_arrays import maximum_kw
from services.portrait.rules.month_facts import Facts, month_index
from services.portrait.rules.score_block import RECORD
from services.portrait.scoring.agreements import read_agreements
from services.portrait.scoring.compute import HISTORY_MONTHS, Chunk, ScoringPlan, results
from services.portrait.scoring.customer_range import between
from services.portrait.scoring.month_facts import refresh

_RANGE = between("customer_id")
_CUSTOMERS = f"SELECT customer_id FROM {SCHEMA}.customer WHERE {_RANGE} ORDER BY customer_id"
_FACTS = f"""
SELECT customer_id, substring(facts FROM 1 FOR CASE length(facts) WHEN {facts_rule.NARROW.itemsize}
  THEN {facts_rule.SCORED_NARROW.itemsize} ELSE {facts_rule.SCORED_WIDE.itemsize} END) FROM {SCHEMA}.month_facts
WHERE {_RANGE} AND month >= $3 AND month < $4 AND facts <> ''"""
_HEADS = f"""
SELECT customer_id, substring(facts FROM 1 FOR {facts_rule.HEAD.itemsize})
FROM {SCHEMA}.month_facts WHERE {_RANGE} AND month >= $3 AND month < $4 AND facts <> ''"""
_BANDS_BEFORE = f"""
SELECT DISTINCT ON (s.customer_id) s.customer_id, s.band FROM {SCHEMA}.score s
JOIN {SCHEMA}.score_run r USING (run_id)
WHERE {between("s.customer_id")}
  AND s.month < $3 AND s.band IS NOT NULL AND r.published_at IS NOT NULL AND NOT r.trial
ORDER BY s.customer_id, s.month DESC, r.published_at DESC, s.run_id"""
# Ids hold no comma; joined they cross at a fraction of what an array of them costs the client.
_KEEP = f"""
INSERT INTO {SCHEMA}.score_block (customer_id, run_id, first_month, months, records)
SELECT customer_id, $3, $4, $5, substring($2::bytea FROM (n - 1)::int * $6::int + 1 FOR $6::int)
FROM string_to_table($1, ',') WITH ORDINALITY AS given (customer_id, n)"""


async def score_range(
    connection: Connection, *, plan: ScoringPlan, after_id: str, up_to_id: str | None
) -> tuple[int, bytes]:
    """Store the scores of the customers in (after_id, up_to_id]; how many customers, and what publishing counts.

    In the caller's transaction.
    """
    begin = shifted(plan.months[0], months=-HISTORY_MONTHS)
    end = shifted(plan.months[-1], months=1)
    await refresh(connection, after_id=after_id, up_to_id=up_to_id, from_month=begin, to_month=end)
    chunk = await read_chunk(connection, plan=plan, after_id=after_id, up_to_id=up_to_id)
    if not chunk.customers:
        return 0, b""
    records, peers = await asyncio.to_thread(lambda: results(chunk, plan))
    width = RECORD.itemsize * len(plan.months)
    await connection.execute(
        _KEEP, ",".join(chunk.customers), records.tobytes(), plan.run_id, plan.months[0], len(plan.months), width
    )
    return len(chunk.customers), peers.tobytes()


async def read_chunk(connection: Connection, *, plan: ScoringPlan, after_id: str, up_to_id: str | None) -> Chunk:
    first, end = plan.months[0], shifted(plan.months[-1], months=1)
    begin = shifted(first, months=-HISTORY_MONTHS)
    customers = [row[0] for row in await connection.fetch(_CUSTOMERS, after_id, up_to_id)]
    position = {customer: place for place, customer in enumerate(customers)}
    facts, owner = _records(
        await connection.fetch(_FACTS, after_id, up_to_id, first, end), position, facts_rule.decode_scored
    )
    heads, holder = _records(
        await connection.fetch(_HEADS, after_id, up_to_id, begin, first),
        position,
        lambda cells: np.frombuffer(b"".join(cells), facts_rule.HEAD),
    )
    maxima = np.full((len(customers), HISTORY_MONTHS + len(plan.months)), np.nan)
    for records, whose in ((facts, owner), (heads, holder)):
        maxima[whose, records["month"] - month_index(begin)] = maximum_kw(records)
    bands = np.zeros(len(customers), np.uint8)
    for customer, band in await connection.fetch(_BANDS_BEFORE, after_id, up_to_id, month_name(first)):
        if customer in position:
            bands[position[customer]] = ord(band)
    return Chunk(
        customers=customers,
        facts=facts,
        owner=owner,
        maxima_kw=maxima,
        agreements=await read_agreements(
            connection, after_id=after_id, up_to_id=up_to_id, position=position, months=plan.months
        ),
        bands_before=bands,
    )


def _records(
    rows: Sequence[Any], position: Mapping[str, int], decode: Callable[[list[bytes]], Facts]
) -> tuple[Facts, NDArray[np.int64]]:
    """The records of the customers that `position` names, looked at where their bytes lie, and whose they are."""
    known = [row for row in rows if row[0] in position]
    return decode([row[1] for row in known]), np.array([position[row[0]] for row in known], np.int64)
