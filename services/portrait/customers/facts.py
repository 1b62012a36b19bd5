"""Reads all that is known of one customer into the forms that the rules take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.schema import Table

from services.contracts.marketing import ImportanceGrade
from services.contracts.portrait import ProfileAccount, ProfileSite, ProfileUsagePoint
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.classes.in_force import RulesInForce
from services.portrait.customers.calendar import local_day, month_start, months_up_to, shifted
from services.portrait.rules import portrait_indicators as indicators
from services.portrait.rules.attention import AttentionInputs, FaultOutage, OpenHazard, planned_quota_of
from services.portrait.rules.classes import CustomerFacts
from services.portrait.rules.measured import Measured
from services.portrait.rules.target_vetoes import Breach, target_vetoes
from services.portrait.rules.terms import terms_in_force

_GRADES: tuple[ImportanceGrade, ...] = ("none", "temporary", "grade-2", "grade-1", "special")
_MORE_CAPACITY = {"new-connection", "capacity-increase"}
_SCORED_NATURES = {"continuous-process", "seasonal"}
COMPLETE_MONTH = 0.95
"""Share of a month's intervals without which it is no month of usage; demo value, as in the score scheme."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One customer on one day."""

    customer_id: str
    as_of: date
    name: str
    key_account: bool
    accounts: tuple[ProfileAccount, ...]
    sites: tuple[ProfileSite, ...]
    usage_points: tuple[ProfileUsagePoint, ...]
    importance_grade: ImportanceGrade
    mean_load_kw: Decimal | None
    for_classes: CustomerFacts
    attention_inputs: AttentionInputs
    vetoes: tuple[str, ...]

    def for_attention(self, *, high_reliability: bool) -> AttentionInputs:
        return replace(self.attention_inputs, high_reliability=high_reliability)


async def read_facts(work: UnitOfWork, *, customer_id: str, rules: RulesInForce) -> Facts:
    today = local_day(work.now)
    (known,) = await _rows(work, t.customer, customer_id)
    terms = {a.account_id: a for a in await terms_on(work, customer_id=customer_id, day=today)}
    areas = {a.account_id: a.service_area_id for a in await _rows(work, t.account, customer_id)}
    usage = await _usage(work, customer_id)
    violations = await _rows(work, t.violation, customer_id)
    contacts = await _rows(work, t.service_contact, customer_id)
    grade = max((_GRADES.index(a.importance_grade) for a in terms.values()), default=0)
    return Facts(
        customer_id=customer_id,
        as_of=today,
        name=known.name,
        key_account=known.key_account,
        accounts=tuple(_account(row, areas[row.account_id]) for row in terms.values()),
        sites=tuple(
            ProfileSite(site_id=s.site_id, name=s.name, asset_ids=tuple(s.asset_ids))
            for s in await _rows(work, t.site, customer_id)
        ),
        usage_points=tuple(
            ProfileUsagePoint(
                usage_point_id=p.usage_point_id,
                account_id=p.account_id,
                site_id=p.site_id,
                feeder_ids=tuple(p.feeder_ids),
            )
            for p in await _rows(work, t.usage_point, customer_id)
        ),
        importance_grade=_GRADES[grade],
        mean_load_kw=_mean_load(usage),
        for_classes=CustomerFacts(
            indicators={
                **_energy(usage, list(terms.values()), rules.nature_scores),
                **_service(contacts, list(terms.values()), today),
                **await _penalties(work, customer_id, violations, today),
            },
            dual_supply=any(a.dual_supply for a in terms.values()),
            capacity_application_within_12_months=await _wants_more(work, customer_id, today),
            avg_monthly_bill_yuan=await _mean_bill(work, customer_id, today),
        ),
        attention_inputs=replace(
            await _attention_inputs(work, customer_id, contacts),
            planned_quota=_planned_quota(list(terms.values()), rules.planned_quotas),
        ),
        vetoes=target_vetoes(
            breaches=[Breach(v.occurred_on, v.kind == "theft") for v in violations],
            arrears_open=await _in_arrears(work, customer_id),
            as_of=today,
            theft_months=rules.document["targets"]["theft_veto_months"],
            violation_months=rules.for_attention.violation_window_months,
        ),
    )


async def terms_on(work: UnitOfWork, *, customer_id: str, day: date) -> list[Row[Any]]:
    """One row per account: the terms in force on `day`, else the ones that begin next, else the last that held."""
    return terms_in_force(await _rows(work, t.account_terms, customer_id), day=day)


async def _rows(work: UnitOfWork, table: Table, customer_id: str) -> Sequence[Row[Any]]:
    query = select(table).where(table.c.customer_id == customer_id).order_by(*table.primary_key.columns)
    return (await work.db.execute(query)).all()


def _account(row: Row[Any], service_area_id: str) -> ProfileAccount:
    return ProfileAccount(
        account_id=row.account_id,
        service_area_id=service_area_id,
        contract_capacity_kva=row.contract_capacity_kva,
        voltage_kv=row.voltage_kv,
        importance_grade=row.importance_grade,
        dual_supply=row.dual_supply,
        industry_class=row.industry_class if row.industry_class[:1].isalpha() else "",
    )


async def _usage(work: UnitOfWork, customer_id: str) -> list[int | None]:
    """Energy in Wh of the 24 months that end with the newest one known, oldest first."""
    rows = {r.month: r for r in await _rows(work, t.monthly_usage, customer_id)}
    months = months_up_to(month_start(max(rows)), count=24) if rows else []
    there = [rows.get(m) for m in months]
    return [r.energy_wh if r is not None and r.completeness >= COMPLETE_MONTH else None for r in there]


def _mean_load(usage: Sequence[int | None]) -> Decimal | None:
    known = [wh for wh in usage[-12:] if wh is not None]
    if not known:
        return None
    # 8,760 h a year, a twelfth of them a month: the mean of the year does not hang on the lengths of months.
    return (Decimal(sum(known)) / len(known) / 730 / 1000).quantize(Decimal("0.001"))


def _energy(usage: Sequence[int | None], terms: Sequence[Row[Any]], scores: Mapping[str, float]) -> dict[str, Measured]:
    natures = [
        indicators.supply_nature_score(
            importance_grade=a.importance_grade,
            nature=a.supply_nature if a.supply_nature in _SCORED_NATURES else "general",
            scores=scores,
        )
        for a in terms
    ]
    known = [m for m in natures if m.value is not None]
    return {
        "supply_nature_score": max(known) if known else Measured.missing("unknown-nature"),
        "avg_monthly_kwh": indicators.avg_monthly_kwh(monthly_wh=usage),
        "kwh_growth_rate": indicators.kwh_growth_rate(monthly_wh=usage),
    }


def _service(contacts: Sequence[Row[Any]], terms: Sequence[Row[Any]], today: date) -> dict[str, Measured]:
    begin = _months_ago(today, 12)
    recent = [c for c in contacts if begin <= local_day(c.occurred_at) <= today]
    capacity = float(sum(a.contract_capacity_kva for a in terms))
    return {
        "monthly_service_rate": indicators.monthly_service_rate(
            contacts=len(recent), months=12, contract_kva=capacity or None
        ),
        "complaint_rate": indicators.complaint_rate(complaints=sum(c.complaint for c in recent), contacts=len(recent)),
    }


async def _bills(work: UnitOfWork, customer_id: str) -> list[Row[Any]]:
    """Bills that count: issued, neither cancelled nor replaced by another."""
    rows = await _rows(work, t.bill, customer_id)
    replaced = {r.reissue_of for r in rows if not r.cancelled}
    return [r for r in rows if r.period_to is not None and not r.cancelled and r.bill_id not in replaced]


async def _penalties(
    work: UnitOfWork, customer_id: str, violations: Sequence[Row[Any]], today: date
) -> dict[str, Measured]:
    begin = _months_ago(today, 36)
    bills = [b for b in await _bills(work, customer_id) if begin <= b.period_to <= today]
    return {
        "violation_index": indicators.violation_index(
            violations=[indicators.Violation(v.occurred_on, v.kind == "theft") for v in violations], as_of=today
        ),
        "penalty_bill_share": indicators.penalty_bill_share(
            penalties_yuan=sum((v.penalty_yuan for v in violations if begin <= v.occurred_on <= today), Decimal(0)),
            late_fees_yuan=sum((b.late_fee_yuan for b in bills), Decimal(0)),
            bills_yuan=sum((b.amount_yuan for b in bills), Decimal(0)),
        ),
    }


async def _mean_bill(work: UnitOfWork, customer_id: str, today: date) -> float | None:
    begin = _months_ago(today, 12)
    recent = [b for b in await _bills(work, customer_id) if begin < b.period_to <= today]
    months = {(b.period_to.year, b.period_to.month) for b in recent}
    return float(sum(b.amount_yuan for b in recent)) / len(months) if months else None


async def _wants_more(work: UnitOfWork, customer_id: str, today: date) -> bool:
    begin = _months_ago(today, 12)
    return any(
        a.kind in _MORE_CAPACITY and a.stage != "withdrawn" and begin <= local_day(a.reached_at) <= today
        for a in await _rows(work, t.application, customer_id)
    )


def _planned_quota(terms: Sequence[Row[Any]], quotas: Sequence[tuple[float, int]]) -> int | None:
    """Of several accounts the strictest quota counts."""
    known = [planned_quota_of(voltage_kv=float(a.voltage_kv), quotas=quotas) for a in terms]
    return min((quota for quota in known if quota is not None), default=None)


async def _in_arrears(work: UnitOfWork, customer_id: str) -> bool:
    return any(a.since is not None and a.cleared_at is None for a in await _rows(work, t.arrears, customer_id))


async def _attention_inputs(work: UnitOfWork, customer_id: str, contacts: Sequence[Row[Any]]) -> AttentionInputs:
    hazards = await _rows(work, t.open_hazard, customer_id)
    outages = await _rows(work, t.customer_outage, customer_id)
    newest = await _newest_score(work, customer_id)
    return AttentionInputs(
        hazards=[
            OpenHazard(severity=h.grade, overdue=h.overdue) for h in hazards if h.status not in ("closed", "voided")
        ],
        fault_outages=[
            FaultOutage(
                day=local_day(o.started_at),
                # How long an open one lasts is known at its end; until then it counts as one outage.
                hours=max(0.0, (o.ended_at - o.started_at) / timedelta(hours=1)) if o.ended_at else 0.0,
            )
            for o in outages
            if o.kind == "fault"
        ],
        planned_outages=[local_day(o.started_at) for o in outages if o.kind == "planned" and not o.cancelled],
        complaints=[local_day(c.occurred_at) for c in contacts if c.complaint or c.breached],
        band=newest.band if newest else None,
        previous_band=newest.previous_band if newest else None,
    )


async def _newest_score(work: UnitOfWork, customer_id: str) -> Row[Any, Any] | None:
    """Of the last month, by the run published last."""
    s, r = t.score.c, t.score_run.c
    query = (
        select(s.band, s.previous_band)
        .join(t.score_run, r.run_id == s.run_id)
        .where(s.customer_id == customer_id, r.published_at.is_not(None), ~r.trial)
        .order_by(s.month.desc(), r.published_at.desc(), s.run_id)
        .limit(1)
    )
    return (await work.db.execute(query)).first()


def _months_ago(today: date, months: int) -> date:
    first = shifted(today, months=-months)
    last_day = (shifted(first, months=1) - timedelta(days=1)).day
    return first.replace(day=min(today.day, last_day))
