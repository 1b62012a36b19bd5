"""Gathers what a visitor should know of a customer into the one-page brief."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, months_up_to, shifted
from services.portrait.documents.brief import Section, VisitBrief
from services.portrait.rules.attention import LEVEL_NAMES
from services.portrait.rules.classes import CLASS_NAMES, CRITERION_NAMES
from services.portrait.scoring.results import scores_of

_MOST = 5
_GRADES = {"critical": "危急 critical", "serious": "严重 serious", "general": "一般 general"}


async def visit_brief(work: UnitOfWork, *, profile: Row[Any]) -> VisitBrief:
    """`profile` as read under the caller's scope."""
    customer_id, body = profile.customer_id, profile.body
    usage = {r.month: r.energy_wh for r in await _all(work, t.monthly_usage, customer_id)}
    newest = next((s for s in await scores_of(work, customer_id=customer_id, limit=12) if s.score is not None), None)
    months = months_up_to(shifted(local_day(work.now), months=-1), count=12)
    zh, en = LEVEL_NAMES[profile.attention_level]
    score = f"{newest.score:.1f} / {newest.band}（{newest.month}）" if newest else "未评分 not scored"
    return VisitBrief(
        name=profile.name,
        customer_id=customer_id,
        as_of=local_day(work.now),
        facts=[
            ("户号 Accounts", "、".join(a["account_id"] for a in body["accounts"])),
            ("合同容量 Contract capacity", f"{sum(float(a['contract_capacity_kva']) for a in body['accounts']):g} kVA"),
            ("供电电压 Voltage", "、".join(sorted({f"{float(a['voltage_kv']):g} kV" for a in body["accounts"]}))),
            ("重要等级 Importance", body["importance_grade"]),
            ("关注级别 Attention", f"{zh} {en}（{'、'.join(body['attention_reasons']) or '—'}）"),
            ("能效评分 Score", score),
        ],
        sections=[
            Section(title="四高分类 Classes", rows=_classes(profile)),
            Section(title="三个最弱项 Weakest points", rows=[(w, "") for w in (newest.weakest if newest else [])]),
            Section(title="未闭环隐患 Open hazards", rows=await _hazards(work, customer_id)),
            Section(title="近期停电 Recent outages", rows=await _outages(work, customer_id)),
            Section(title="近期服务接触 Recent contacts", rows=await _contacts(work, customer_id)),
            Section(title="未结清欠费 Open arrears", rows=await _arrears(work, customer_id)),
        ],
        months=[(m, usage[m] / 1000 if m in usage else None) for m in months],
    )


def _classes(profile: Row[Any]) -> list[tuple[str, str]]:
    held = [v for v in profile.explanation["verdicts"] if v["holds"]]
    return [(CLASS_NAMES[v["name"]], "；".join(_met(c) for c in v["criteria"] if c["holds"])) for v in held]


def _met(criterion: dict[str, Any]) -> str:
    zh, en = CRITERION_NAMES[criterion["code"]]
    if isinstance(criterion["value"], bool):
        return f"{zh} {en}"
    return f"{zh} {en} {criterion['value']:.6g}（门槛 border {criterion['threshold']:.6g}）"


async def _hazards(work: UnitOfWork, customer_id: str) -> list[tuple[str, ...]]:
    rows = [h for h in await _all(work, t.open_hazard, customer_id) if h.status not in ("closed", "voided")]
    order = list(_GRADES)
    rows.sort(key=lambda h: (order.index(h.grade), h.first_at))
    return [
        (_GRADES[h.grade], h.finding, f"{_day(h.first_at)} {'已超期 overdue' if h.overdue else h.status}")
        for h in rows[:_MOST]
    ]


async def _outages(work: UnitOfWork, customer_id: str) -> list[tuple[str, ...]]:
    rows = [o for o in await _all(work, t.customer_outage, customer_id) if not o.cancelled]
    rows.sort(key=lambda o: o.started_at, reverse=True)
    names = {"fault": "故障 fault", "planned": "计划 planned"}
    return [(_day(o.started_at), names[o.kind], _hours(o.started_at, o.ended_at)) for o in rows[:_MOST]]


async def _contacts(work: UnitOfWork, customer_id: str) -> list[tuple[str, ...]]:
    rows = sorted(await _all(work, t.service_contact, customer_id), key=lambda c: c.occurred_at, reverse=True)
    return [
        (_day(c.occurred_at), c.contact_id.partition(":")[0], "投诉 complaint" if c.complaint else "")
        for c in rows[:_MOST]
    ]


async def _arrears(work: UnitOfWork, customer_id: str) -> list[tuple[str, ...]]:
    rows = [a for a in await _all(work, t.arrears, customer_id) if a.since is not None and a.cleared_at is None]
    return [(a.since.isoformat(), a.bill_id, f"{a.amount_yuan} 元 yuan") for a in rows[:_MOST]]


async def _all(work: UnitOfWork, table: Any, customer_id: str) -> Sequence[Row[Any]]:
    return (await work.db.execute(select(table).where(table.c.customer_id == customer_id))).all()


def _day(moment: datetime) -> str:
    return local_day(moment).isoformat()


def _hours(begin: datetime, end: datetime | None) -> str:
    return "未结束 open" if end is None else f"{(end - begin).total_seconds() / 3600:.1f} h"
