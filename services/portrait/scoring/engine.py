"""Scores a range of customers over months: few raw reads, arrays for all of them at once, one COPY.

The pure rules for one customer are the measure: tests hold these arrays to them, bit for bit.
"""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

import asyncio
import io

import numpy as np
from numpy.typing import NDArray

from services.portrait.customers.calendar import month_name, shifted
from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.rules import month_facts as facts_rule
from services.portrait.rules.month_arrays import maximum_kw
from services.portrait.rules.month_facts import month_index
from services.portrait.rules.score_arrays import NO_BAND
from services.portrait.scoring.agreements import read_agreements
from services.portrait.scoring.compute import (
    BAND_NAMES,
    COLUMNS,
    HISTORY_MONTHS,
    Chunk,
    ScoringPlan,
    result_rows,
    score_chunk,
)
from services.portrait.scoring.month_facts import refresh

_RANGE = "customer_id > $1 AND ($2::text IS NULL OR customer_id <= $2)"
_CUSTOMERS = f"SELECT customer_id FROM {SCHEMA}.customer WHERE {_RANGE} ORDER BY customer_id"
# One value per customer: the server strings the records together, the client looks at them where they lie.
_FACTS = f"""
SELECT customer_id, string_agg(facts, ''::bytea) FROM {SCHEMA}.month_facts
WHERE {_RANGE} AND month >= $3 AND month < $4 AND length(facts) = $5 GROUP BY customer_id"""
_HEADS = f"""
SELECT customer_id, string_agg(substring(facts FROM 1 FOR {facts_rule.HEAD.itemsize}), ''::bytea)
FROM {SCHEMA}.month_facts WHERE {_RANGE} AND month >= $3 AND month < $4 AND length(facts) > 0 GROUP BY customer_id"""
_BANDS_BEFORE = f"""
SELECT DISTINCT ON (s.customer_id) s.customer_id, s.band FROM {SCHEMA}.score s
JOIN {SCHEMA}.score_run r USING (run_id)
WHERE s.customer_id > $1 AND ($2::text IS NULL OR s.customer_id <= $2)
  AND s.month < $3 AND s.band IS NOT NULL AND r.published_at IS NOT NULL AND NOT r.trial
ORDER BY s.customer_id, s.month DESC, r.published_at DESC, s.run_id"""
_STAGE = f"""
CREATE TEMP TABLE IF NOT EXISTS fresh_scores ON COMMIT DELETE ROWS AS
SELECT {", ".join(COLUMNS)} FROM {SCHEMA}.score WITH NO DATA"""
_KEEP = f"""
INSERT INTO {SCHEMA}.score ({", ".join(COLUMNS)}) SELECT {", ".join(COLUMNS)} FROM pg_temp.fresh_scores"""


async def score_range(connection: Connection, *, plan: ScoringPlan, after_id: str, up_to_id: str | None) -> int:
    """Store the scores of the customers in (after_id, up_to_id]; how many customers. In the caller's transaction."""
    begin = shifted(plan.months[0], months=-HISTORY_MONTHS)
    end = shifted(plan.months[-1], months=1)
    await refresh(connection, after_id=after_id, up_to_id=up_to_id, from_month=begin, to_month=end)
    chunk = await read_chunk(connection, plan=plan, after_id=after_id, up_to_id=up_to_id)
    if chunk.customers:
        rows = await asyncio.to_thread(lambda: result_rows(score_chunk(chunk, plan), plan))
        await connection.execute(_STAGE)
        await connection.copy_to_table(
            "fresh_scores", schema_name="pg_temp", source=io.BytesIO(rows), columns=COLUMNS, format="binary"
        )
        await connection.execute(_KEEP)
        await connection.execute("DELETE FROM pg_temp.fresh_scores")
    return len(chunk.customers)


async def read_chunk(connection: Connection, *, plan: ScoringPlan, after_id: str, up_to_id: str | None) -> Chunk:
    first, end = plan.months[0], shifted(plan.months[-1], months=1)
    begin = shifted(first, months=-HISTORY_MONTHS)
    customers = [row[0] for row in await connection.fetch(_CUSTOMERS, after_id, up_to_id)]
    position = {customer: place for place, customer in enumerate(customers)}
    cells: list[bytes] = []
    owners: list[NDArray[np.int64]] = []
    for layout in (facts_rule.NARROW, facts_rule.WIDE):
        for customer, joined in await connection.fetch(_FACTS, after_id, up_to_id, first, end, layout.itemsize):
            if customer in position:
                cells.append(joined)
                owners.append(np.full(len(joined) // layout.itemsize, position[customer]))
    facts = facts_rule.decode(cells)
    owner = np.concatenate(owners) if owners else np.zeros(0, np.int64)
    maxima = np.full((len(customers), HISTORY_MONTHS + len(plan.months)), np.nan)
    maxima[owner, facts["month"] - month_index(begin)] = maximum_kw(facts)
    for customer, joined in await connection.fetch(_HEADS, after_id, up_to_id, begin, first):
        if customer in position:
            heads = np.frombuffer(joined, facts_rule.HEAD)
            maxima[position[customer], heads["month"] - month_index(begin)] = maximum_kw(heads)
    bands = np.full(len(customers), NO_BAND, np.uint8)
    for customer, band in await connection.fetch(_BANDS_BEFORE, after_id, up_to_id, month_name(first)):
        if customer in position:
            bands[position[customer]] = BAND_NAMES.index(band)
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
