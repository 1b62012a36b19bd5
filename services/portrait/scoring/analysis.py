"""Proposals for weights from the published scores of a month. Analysis beside the scores, never instead."""

from typing import Any

import numpy as np
from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.stored_indicators import decode
from services.portrait.rules.weighting import (
    UnusableMatrix,
    closeness,
    combined_weights,
    entropy_weights,
    min_max,
    pairwise_weights,
)
from services.portrait.scoring import schemas

MOST_CUSTOMERS = 20_000
LARGER_IS_BETTER = {
    "load_factor": True,
    "peak_valley_diff_rate": False,
    "valley_share": True,
    "peak_share": False,
    "power_factor": True,
    "transformer_utilization": True,
    "kwh_per_kva": True,
    "demand_cv": False,
}
"""Indicators with one direction; a demand near its contract is best in the middle and cannot be ranked so."""


async def weight_proposal(work: UnitOfWork, *, question: schemas.WeightQuestion) -> schemas.WeightProposal:
    """Raises InvalidInput naming the field that cannot be weighed."""
    codes = question.indicators
    if not set(codes) <= set(LARGER_IS_BETTER) or len(set(codes)) < len(codes):
        raise InvalidInput(
            zh=f"可用指标：{', '.join(LARGER_IS_BETTER)}，且不得重复。",
            en=f"Name each indicator once; there are {', '.join(LARGER_IS_BETTER)}.",
            field="indicators",
        )
    values, scores = await _values(work, question)
    try:
        judged = pairwise_weights(judgements=question.judgements)
        if len(judged.weights) != len(codes):
            raise UnusableMatrix(f"has {len(judged.weights)} rows for {len(codes)} indicators")
        scaled = min_max(values=values, larger_is_better=[LARGER_IS_BETTER[code] for code in codes])
        spread = entropy_weights(scaled=scaled)
    except UnusableMatrix as error:
        raise InvalidInput(
            zh=f"判断矩阵或数据不可用：{error}", en=f"Not usable: {error}", field="judgements"
        ) from error
    combined = combined_weights(judged=judged.weights, spread=spread.weights, multiply=question.multiply)
    await work.audit(
        action="weights-proposed", object_type="score-month", object_id=question.month, rows=len(values),
        after=question.model_dump(mode="json"),
    )  # fmt: skip
    return schemas.WeightProposal(
        customers=len(values),
        indicators=codes,
        judged_weights=list(judged.weights),
        consistency_ratio=judged.consistency_ratio,
        consistent=judged.consistent,
        entropies=list(spread.entropies),
        spread_weights=list(spread.weights),
        combined_weights=list(combined),
        topsis_rank_agreement=_rank_correlation(np.array(closeness(scaled=scaled, weights=combined)), scores),
    )


async def _values(work: UnitOfWork, question: schemas.WeightQuestion) -> tuple[Any, Any]:
    """Rows of customers with all of the indicators, and their scores, of the newest whole run of the month."""
    c, r = t.score.c, t.score_run.c
    newest = (
        select(r.run_id)
        .where(r.month == question.month, r.published_at.is_not(None), ~r.trial, r.customer_id.is_(None))
        .order_by(r.published_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = await work.db.execute(
        select(c.indicators, c.score)
        .where(
            c.run_id == newest, c.month == question.month, c.score.is_not(None),
            c.peer_group.startswith(question.industry, autoescape=True), visible(c.customer_id, work=work),
        )
        .order_by(c.customer_id)
        .limit(MOST_CUSTOMERS)
    )  # fmt: skip
    rows, scores = [], []
    for stored, score in found:
        values = decode(stored)
        said = [values[code].value for code in question.indicators if code in SCORED]
        if None not in said:
            rows.append(said)
            scores.append(score)
    if len(rows) < 2:
        raise InvalidInput(
            zh="该月该行业可比客户不足两户。",
            en="Fewer than two customers can be compared.",
            field="month",
        )
    return np.array(rows, float), np.array(scores)


def _rank_correlation(one: Any, other: Any) -> float | None:
    ranks = [np.argsort(np.argsort(x)).astype(float) for x in (one, other)]
    if any(np.ptp(x) == 0 for x in (one, other)):
        return None
    return round(float(np.corrcoef(ranks[0], ranks[1])[0, 1]), 4)
