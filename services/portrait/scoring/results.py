"""Reads of scores. "The" score of a month is that of the run published last; runs that are not whole are not seen."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import Row, Select, select
from sqlalchemy.dialects.postgresql import distinct_on

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.portrait import schemas
from services.portrait import tables as t
from services.portrait.customers.calendar import month_start, shifted
from services.portrait.customers.facts import terms_on
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.efficiency_score import EfficiencyScore, ScoreScheme
from services.portrait.rules.measured import REASONS, Measured
from services.portrait.rules.month_facts import HEAD
from services.portrait.rules.month_indicators import NOT_AVAILABLE
from services.portrait.rules.peers import WITHHELD, percentile
from services.portrait.rules.shift_pattern import SHIFT_NAMES
from services.portrait.rules.weak_points import PRICES, MonthUse, target_of, weak_point_value
from services.portrait.scoring import schemas as s
from services.portrait.scoring.dated_documents import prices_on, scheme_named
from services.portrait.scoring.publish import HUNDREDTHS
from services.portrait.scoring.tell import result_of


def published_scores(*, customer_id: str) -> Select[Any]:
    """One row a month: of the newest published run that holds the customer."""
    c, r = t.score.c, t.score_run.c
    return (
        select(t.score, r.published_at)
        .join(t.score_run, r.run_id == c.run_id)
        .ext(distinct_on(c.month))
        .where(c.customer_id == customer_id, r.published_at.is_not(None), ~r.trial)
        .order_by(c.month.desc(), r.published_at.desc(), c.run_id)
    )


async def score_found(row: Any, *, scheme: Callable[[str], Awaitable[ScoreScheme | None]]) -> schemas.Score:
    """A row of `published_scores`, or a `NewestScore`, as it is answered; `scheme` finds one by its version."""
    return _score(row, *result_of(row, await scheme(row.scheme_version)))


async def scores_of(work: UnitOfWork, *, customer_id: str, limit: int) -> list[schemas.Score]:
    """Newest month first."""
    query = published_scores(customer_id=customer_id).where(visible(t.score.c.customer_id, work=work)).limit(limit)
    known: dict[str, ScoreScheme | None] = {}
    found = []
    for row in await work.db.execute(query):
        if row.scheme_version not in known:
            known[row.scheme_version] = await scheme_named(work, version=row.scheme_version)
        found.append(_score(row, *result_of(row, known[row.scheme_version])))
    return found


async def score_row(work: UnitOfWork, *, customer_id: str, month: str, run_id: UUID | None = None) -> Row[Any]:
    """The score of the month, or that of one run, which may be an earlier one or a trial. Raises NotFound."""
    c, r = t.score.c, t.score_run.c
    if run_id is None:
        query = published_scores(customer_id=customer_id).where(c.month == month)
    else:
        query = (
            select(t.score, r.published_at)
            .join(t.score_run, r.run_id == c.run_id)
            .where(c.customer_id == customer_id, c.month == month, c.run_id == run_id, r.published_at.is_not(None))
        )
    row: Row[Any] | None = (await work.db.execute(query.where(visible(c.customer_id, work=work)))).first()
    if row is None:
        raise NotFound(what_zh="月评分", what_en="score of that month", field="month")
    return row


async def explained(work: UnitOfWork, *, row: Row[Any]) -> s.ExplainedScore:
    scheme = await scheme_named(work, version=row.scheme_version)
    values, result = result_of(row, scheme)
    version, _ = await prices_on(work, day=month_start(row.month))
    shift = row.shift or None
    zh, en = SHIFT_NAMES[row.shift] if shift else (None, None)
    return s.ExplainedScore(
        score=_score(row, values, result),
        scheme_version=row.scheme_version,
        shift=shift,
        shift_zh=zh,
        shift_en=en,
        shift_status="confirmed" if row.shift_confirmed else "proposed",
        weak_points=await _weak_points(work, row, scheme, values, result) if scheme and result else [],
        prices_version=version,
        peers=await _peers(work, row),
        not_available=[
            s.NotAvailable(indicator=code, because_zh=REASONS[why][0], because_en=REASONS[why][1])
            for code, why in NOT_AVAILABLE.items()
        ],
    )


def _score(row: Row[Any], values: Mapping[str, Measured], result: EfficiencyScore | None) -> schemas.Score:
    zh, en = REASONS.get(row.not_scored_because, (None, None))
    codes = [*result.sub_scores, *result.left_out] if result else []
    return schemas.Score(
        month=row.month,
        run_id=str(row.run_id),
        score=row.score,
        band=row.band,
        not_scored_because_zh=zh,
        not_scored_because_en=en,
        sub_scores=[_sub_score(code, values[code], result) for code in codes],
        weakest=[loss.code for loss in result.largest_losses] if result else [],
        scored_at=row.published_at,
    )


def _sub_score(code: str, value: Measured, result: EfficiencyScore | None) -> schemas.SubScore:
    zh, en = REASONS.get(value.reason or "", (None, None))
    points = result.sub_scores.get(code) if result else None
    return schemas.SubScore(indicator=code, value=value.value, points=points, reason_zh=zh, reason_en=en)


async def _weak_points(
    work: UnitOfWork,
    row: Row[Any],
    scheme: ScoreScheme,
    values: Mapping[str, Measured],
    result: EfficiencyScore,
) -> list[s.WeakPoint]:
    month = month_start(row.month)
    terms = await terms_on(work, customer_id=row.customer_id, day=shifted(month, months=1) - timedelta(days=1))
    f = t.month_facts.c
    query = select(f.facts).where(f.customer_id == row.customer_id, f.month == month)
    facts: bytes = (await work.db.execute(query)).scalar_one_or_none() or b""
    highest = int(np.frombuffer(facts, HEAD, 1)["maximum_wh"][0]) if facts else 0
    step = int(np.frombuffer(facts, HEAD, 1)["step_minutes"][0]) if facts else 60
    _, prices = await prices_on(work, day=month)
    found = []
    for loss in result.largest_losses:
        value = values[loss.code].value or 0.0
        target = target_of(code=loss.code, value=value, scheme=scheme)
        use = MonthUse(
            value=value,
            target=target,
            energy_kwh=Decimal(row.energy_wh) / 1000,
            maximum_kw=Decimal(max(highest, 0)) * 60 / step / 1000 if highest != MISSING else Decimal(0),
            contract_kva=sum((x.contract_capacity_kva for x in terms), Decimal(0)),
            operating_kva=sum((x.operating_capacity_kva for x in terms), Decimal(0)),
            contract_demand_kw=sum((x.contract_demand_kw or Decimal(0) for x in terms), Decimal(0)),
        )
        worth = weak_point_value(code=loss.code, use=use, prices=prices)
        zh, en = _without_saving(worth.missing_price, no_formula=worth.no_formula)
        found.append(
            s.WeakPoint(
                indicator=loss.code, lost_points=loss.points, value=value, target=target,
                saving_yuan_per_month=worth.saving_yuan_per_month,
                without_saving_because_zh=zh, without_saving_because_en=en,
            )
        )  # fmt: skip
    return found


def _without_saving(missing_price: str | None, *, no_formula: bool) -> tuple[str | None, str | None]:
    if no_formula:
        return "该指标没有电费换算公式", "no formula turns this indicator into money"
    if missing_price is None:
        return None, None
    zh, en = PRICES[missing_price]
    return f"缺少{zh}", f"{en} is missing"


async def _peers(work: UnitOfWork, row: Row[Any]) -> s.Peers:
    g, r = t.score_peer_group.c, t.score_run.c
    # A run on demand counts no peers; those of the newest whole run stand.
    found = await work.db.execute(
        select(t.score_peer_group)
        .join(t.score_run, r.run_id == g.run_id)
        .where(g.month == row.month, g.peer_group == row.peer_group, r.published_at.is_not(None))
        .order_by((g.run_id == row.run_id).desc(), r.trial, r.published_at.desc())
        .limit(1)
    )
    group = found.first()
    why = "too-few-peers" if group is None else group.withheld_because
    zh, en = WITHHELD.get(why or "", (None, None))
    told = group is not None and why is None and row.score is not None
    return s.Peers(
        group=row.peer_group,
        peers=group.peers if group is not None and why is None else None,
        percentile=round(percentile(score=row.score, sorted_scores=_scores(group)), 1) if group and told else None,
        withheld_because_zh=zh,
        withheld_because_en=en,
    )


def _scores(group: Row[Any]) -> list[float]:
    return [float(score) for score in np.frombuffer(group.scores, HUNDREDTHS) / 100]


async def scores_of_run(work: UnitOfWork, *, run_id: UUID, after: str, limit: int) -> list[s.ScoreOfRun]:
    """Of a run that is whole, customers in order."""
    c, r = t.score.c, t.score_run.c
    found = await work.db.execute(
        select(c.customer_id, c.month, c.score, c.band, c.not_scored_because)
        .join(t.score_run, r.run_id == c.run_id)
        .where(
            c.run_id == run_id, r.published_at.is_not(None), c.customer_id > after,
            visible(c.customer_id, work=work),
        )
        .order_by(c.customer_id, c.month)
        .limit(limit)
    )  # fmt: skip
    return [s.ScoreOfRun(**row._mapping) for row in found]
