"""One customer's month: usage and score from day blocks, stored and told."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import EfficiencyScored, SubScore
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import month_name, shifted
from services.portrait.customers.facts import terms_on
from services.portrait.metering.curves import MonthTotal, month_totals, read_curves, sum_of_curves
from services.portrait.metering.store import Connection
from services.portrait.metering.usage import record_month
from services.portrait.reference_data import shipped
from services.portrait.rules import load_indicators
from services.portrait.rules.day_block import CHANNELS
from services.portrait.rules.efficiency_score import EfficiencyScore, efficiency_score, score_scheme_from
from services.portrait.rules.load_indicators import Curve
from services.portrait.rules.measured import REASONS, Measured
from services.portrait.rules.power_factor import average_power_factor_hundredths
from services.portrait.rules.time_of_use import VALLEY, TouPlan, plan_from

_ACTIVE, _LAGGING, _LEADING = CHANNELS["active-import"], CHANNELS["reactive-lagging"], CHANNELS["reactive-leading"]
HISTORY_MONTHS = 24


@dataclass(frozen=True, kw_only=True)
class _Month:
    first: date
    after: date
    totals: Sequence[MonthTotal]
    curve: Curve | None
    points: Sequence[str]


def tariff_plan() -> TouPlan:
    return plan_from(shipped("tou_chongqing_2021_14"))


async def score_customer(work: UnitOfWork, *, customer_id: str, month: date, run_id: str) -> bool:
    """Store and tell usage and score. False when the customer went away meanwhile."""
    locked = await work.db.execute(select(t.customer).where(t.customer.c.customer_id == customer_id).with_for_update())
    if locked.first() is None:
        return False
    data = await _read(work, customer_id=customer_id, month=month)
    await _store_usage(work, customer_id, data)
    terms = await terms_on(work, customer_id=customer_id, day=data.after - timedelta(days=1))
    values, completeness = _indicators(data, terms)
    result = efficiency_score(
        values=values, completeness=completeness, scheme=score_scheme_from(shipped("score_scheme_demo"))
    )
    await _store_score(work, customer_id=customer_id, month=month, run_id=run_id, values=values, result=result)
    return True


async def _read(work: UnitOfWork, *, customer_id: str, month: date) -> _Month:
    holder, after = t.usage_point_holder.c, shifted(month, months=1)
    found = await work.db.execute(
        select(holder.usage_point_id)
        .where(
            holder.customer_id == customer_id,
            holder.from_day < after,
            holder.to_day.is_(None) | (holder.to_day > month),
        )
        .order_by(holder.usage_point_id)
    )
    points = list(found.scalars())
    raw: Connection = await work.raw()
    totals = await month_totals(
        raw,
        usage_point_ids=points,
        channels=[_ACTIVE, _LAGGING, _LEADING],
        from_day=shifted(month, months=1 - HISTORY_MONTHS),
        to_day=after,
    )
    curves = await read_curves(raw, usage_point_ids=points, channel=_ACTIVE, from_day=month, to_day=after)
    # A usage point without any reading makes the sum incomplete, not smaller.
    whole = sum_of_curves(curves=list(curves.values())) if points and len(curves) == len(points) else None
    return _Month(first=month, after=after, totals=totals, curve=whole, points=points)


async def _store_usage(work: UnitOfWork, customer_id: str, data: _Month) -> None:
    """All months that the blocks hold, since late readings change months that were told before."""
    energy: dict[date, int] = defaultdict(int)
    minutes: dict[date, int] = defaultdict(int)
    for total in data.totals:
        if total.channel == _ACTIVE:
            energy[total.month] += total.total
            minutes[total.month] += total.minutes
    for first in sorted(energy):
        expected = (shifted(first, months=1) - first).days * 1440 * len(data.points)
        await record_month(
            work, customer_id=customer_id, first=first, energy_wh=energy[first],
            completeness=min(1.0, minutes[first] / expected), reason="score-run",
        )  # fmt: skip


def _indicators(data: _Month, terms: Sequence[Row[Any]]) -> tuple[dict[str, Measured], Measured]:
    """Values by code of the score scheme, and how complete the month is."""
    if data.curve is None:
        return {}, Measured.missing("no-data")
    days = [data.first + timedelta(days=n) for n in range((data.after - data.first).days)]
    periods = tariff_plan().periods(days=[(day, "workday") for day in days], step_minutes=data.curve.step_minutes)
    capacity = float(sum(row.contract_capacity_kva for row in terms))
    demand = float(sum(row.contract_demand_kw or 0 for row in terms))
    values = {
        "load_factor": load_indicators.load_factor(curve=data.curve),
        "peak_valley_diff_rate": load_indicators.peak_valley_difference_rate(curve=data.curve),
        "valley_share": load_indicators.period_share(curve=data.curve, periods=periods, wanted=VALLEY),
        "power_factor": _power_factor(data),
        "kwh_per_kva": load_indicators.kwh_per_kva(total_wh=data.curve.total_wh, contract_kva=capacity or None),
        "demand_ratio": load_indicators.demand_ratio(
            maximum_demand_kw=data.curve.maximum_demand_kw, contract_demand_kw=demand or None
        ),
    }
    return values, load_indicators.data_completeness(curve=data.curve)


def _power_factor(data: _Month) -> Measured:
    sums: dict[int, int] = defaultdict(int)
    for total in data.totals:
        if total.month == data.first:
            sums[total.channel] += total.total
    if _LAGGING not in sums and _LEADING not in sums:
        return Measured.missing("no-reactive-energy")
    hundredths = average_power_factor_hundredths(
        active_wh=sums[_ACTIVE], forward_varh=sums[_LAGGING], reverse_varh=sums[_LEADING]
    )
    return Measured(hundredths / 100) if hundredths is not None else Measured.missing("zero-energy")


async def _store_score(
    work: UnitOfWork,
    *,
    customer_id: str,
    month: date,
    run_id: str,
    values: dict[str, Measured],
    result: EfficiencyScore,
) -> None:
    before = await _band_before(work, customer_id, month_name(month))
    codes = [*result.sub_scores, *result.left_out]
    sub_scores: list[dict[str, Any]] = [
        {
            "indicator": code,
            "value": values[code].value if code in values else None,
            "points": result.sub_scores.get(code),
            "reason": result.left_out.get(code),
        }
        for code in codes
    ]
    weakest = [loss.code for loss in result.largest_losses]
    row = {
        "score": result.score, "band": result.band, "previous_band": before,
        "not_scored_because": result.not_scored_because, "sub_scores": sub_scores, "weakest": weakest,
        "scheme_version": result.scheme_version, "scored_at": work.now,
    }  # fmt: skip
    statement = upsert(t.score).values(customer_id=customer_id, month=month_name(month), run_id=run_id, **row)
    await work.db.execute(statement.on_conflict_do_nothing())
    work.emit(
        EfficiencyScored(
            customer_id=customer_id,
            month=month_name(month),
            run_id=run_id,
            score=result.score,
            band=result.band,  # type: ignore[arg-type]
            previous_band=before,  # type: ignore[arg-type]
            not_scored_because=_sentence(result.not_scored_because),
            sub_scores=tuple(
                SubScore(indicator=s["indicator"], value=s["value"], points=s["points"], reason=_sentence(s["reason"]))
                for s in sub_scores
            ),
            weakest=tuple(weakest),
        )
    )


async def _band_before(work: UnitOfWork, customer_id: str, month: str) -> str | None:
    """The band of the newest scored month before `month`."""
    s = t.score.c
    found = await work.db.execute(
        select(s.band)
        .where(s.customer_id == customer_id, s.month < month, s.band.is_not(None))
        .order_by(s.month.desc(), s.scored_at.desc(), s.run_id.desc())
        .limit(1)
    )
    band: str | None = found.scalar_one_or_none()
    return band


def _sentence(reason: str | None) -> str | None:
    if reason is None:
        return None
    zh, en = REASONS[reason]
    return f"{zh} {en}"
