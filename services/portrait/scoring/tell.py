"""Tells what a published run found: scores and usage as events, and every customer is looked at anew."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import Row, select

from services.contracts.portrait import EfficiencyScored, SubScore
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import month_name, month_start, shifted
from services.portrait.customers.reassess import reassess
from services.portrait.metering.store import SCHEMA
from services.portrait.metering.usage import record_month
from services.portrait.rules.efficiency_score import EfficiencyScore, ScoreScheme, efficiency_score
from services.portrait.rules.measured import REASONS, Measured
from services.portrait.rules.month_facts import HEAD
from services.portrait.rules.stored_indicators import decode
from services.portrait.scoring.dated_documents import scheme_named
from services.portrait.scoring.month_facts import refresh

USAGE_MONTHS = 24
_HEADS = f"""
SELECT customer_id, substring(facts FROM 1 FOR {HEAD.itemsize}) FROM {SCHEMA}.month_facts
WHERE customer_id = ANY ($1::text[]) AND month >= $2 AND month < $3 AND length(facts) > 0 ORDER BY customer_id, month"""


async def tell_range(work: UnitOfWork, *, run: Row[Any], after_id: str, up_to_id: str | None) -> int:
    """Customers in order, each locked, as everyone does who looks at several anew."""
    s = t.score.c
    query = select(t.score).where(s.run_id == run.run_id, s.month == run.month, s.customer_id > after_id)
    if up_to_id is not None:
        query = query.where(s.customer_id <= up_to_id)
    rows = (await work.db.execute(query.order_by(s.customer_id))).all()
    usage = await _usage(work, [row.customer_id for row in rows], after_id, up_to_id, month_start(run.month))
    schemes: dict[str, ScoreScheme | None] = {}
    for row in rows:
        c = t.customer.c.customer_id
        locked = await work.db.execute(select(c).where(c == row.customer_id).with_for_update())
        if locked.first() is None:
            continue
        for first, energy_wh, completeness in usage.get(row.customer_id, ()):
            await record_month(
                work, customer_id=row.customer_id, first=first, energy_wh=energy_wh, completeness=completeness,
                reason="score-run",
            )  # fmt: skip
        if row.scheme_version not in schemes:
            schemes[row.scheme_version] = await scheme_named(work, version=row.scheme_version)
        work.emit(_scored(row, schemes[row.scheme_version]))
        await reassess(work, customer_id=row.customer_id)
    return len(rows)


async def _usage(
    work: UnitOfWork, customer_ids: list[str], after_id: str, up_to_id: str | None, last: date
) -> dict[str, list[tuple[date, int, float]]]:
    """(first day of the month, energy in Wh, completeness) where it differs from what was told last."""
    begin, end, raw = shifted(last, months=1 - USAGE_MONTHS), shifted(last, months=1), await work.raw()
    await refresh(raw, after_id=after_id, up_to_id=up_to_id, from_month=begin, to_month=end)
    u = t.monthly_usage.c
    told = {
        (row.customer_id, row.month): (row.energy_wh, row.completeness)
        for row in await work.db.execute(select(t.monthly_usage).where(u.customer_id.in_(customer_ids)))
    }
    found: dict[str, list[tuple[date, int, float]]] = {}
    for customer_id, head in await raw.fetch(_HEADS, customer_ids, begin, end):
        (said,) = np.frombuffer(head, HEAD)
        if not said["minutes"]:
            continue
        year, month = divmod(int(said["month"]), 12)
        first, energy_wh = date(year, month + 1, 1), int(said["energy_wh"])
        completeness = min(1.0, int(said["minutes"]) / int(said["expected_minutes"]))
        if told.get((customer_id, month_name(first))) != (energy_wh, completeness):
            found.setdefault(customer_id, []).append((first, energy_wh, completeness))
    return found


def result_of(row: Row[Any], scheme: ScoreScheme | None) -> tuple[Mapping[str, Measured], EfficiencyScore | None]:
    """The indicator values of a stored score, and what its scheme says of them; None when nothing was measured."""
    values = decode(row.indicators)
    if scheme is None or not values:
        return values, None
    whole = Measured.missing(row.not_scored_because) if row.not_scored_because else Measured(1.0)
    return values, efficiency_score(values=values, completeness=whole, scheme=scheme)


def _scored(row: Row[Any], scheme: ScoreScheme | None) -> EfficiencyScored:
    values, result = result_of(row, scheme)
    return EfficiencyScored(
        customer_id=row.customer_id,
        month=row.month,
        run_id=str(row.run_id),
        score=row.score,
        band=row.band,
        previous_band=row.previous_band,
        not_scored_because=sentence(row.not_scored_because),
        sub_scores=sub_scores(values, result),
        weakest=tuple(loss.code for loss in result.largest_losses) if result else (),
    )


def sub_scores(values: Mapping[str, Measured], result: EfficiencyScore | None) -> tuple[SubScore, ...]:
    codes = [*result.sub_scores, *result.left_out] if result else []
    return tuple(
        SubScore(
            indicator=code,
            value=values[code].value,
            points=result.sub_scores.get(code) if result else None,
            reason=sentence(values[code].reason),
        )
        for code in codes
    )


def sentence(reason: str | None) -> str | None:
    if reason is None:
        return None
    zh, en = REASONS[reason]
    return f"{zh} {en}"
