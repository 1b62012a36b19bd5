"""What the pictures show: curves and figures of one customer, read under the caller's scope."""

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta
from math import log10
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.documents import plots
from services.portrait.metering.curves import read_curves, sum_of_curves
from services.portrait.rules.day_block import CHANNELS, MISSING
from services.portrait.rules.load_indicators import Curve
from services.portrait.scoring.dated_documents import scheme_named
from services.portrait.scoring.results import score_row
from services.portrait.scoring.runs import tariff_plan
from services.portrait.scoring.tell import result_of

NAMES = {
    "load_factor": "负荷率 load factor",
    "peak_valley_diff_rate": "峰谷差率 peak-valley",
    "valley_share": "谷电占比 valley share",
    "peak_share": "峰电占比 peak share",
    "power_factor": "功率因数 power factor",
    "transformer_utilization": "变压器利用率 transformer",
    "kwh_per_kva": "每千伏安电量 kWh/kVA",
    "demand_ratio": "需量比 demand ratio",
    "demand_cv": "需量波动 demand cv",
}
PORTRAIT: Mapping[str, tuple[str, float, float, str]] = {
    "supply_nature_score": ("用电性质 nature", 0, 100, "{:.0f}"),
    "avg_monthly_kwh": ("月均电量 monthly kWh", 2, 7, "{:,.0f}"),
    "monthly_service_rate": ("月服务率 service rate", 0, 4, "{:.2f}"),
    "kwh_growth_rate": ("电量增长率 growth", -0.2, 0.2, "{:+.1%}"),
    "complaint_rate": ("投诉率 complaints", 0, 0.5, "{:.1%}"),
    "violation_index": ("违约窃电 violations", 0, 3, "{:.2f}"),
    "penalty_bill_share": ("违约电费占比 penalties", 0, 0.05, "{:.2%}"),
}
"""Name, value at the centre and at the rim (of the drawing alone: no rule), form; energy on the log scale."""


async def load_curve(work: UnitOfWork, *, profile: Row[Any], first: date, days: int) -> bytes:
    curve = await _curve(work, customer_id=profile.customer_id, first=first, days=days)
    periods = tariff_plan().month_slots(month=first, step_minutes=curve.step_minutes)
    last = first + timedelta(days=days - 1)
    when = f"{first}" if days == 1 else f"{first} – {last:%m-%d}"
    return await asyncio.to_thread(
        plots.load_curve,
        title=f"{profile.name}　负荷曲线 load curve　{when}",
        first=first,
        kw=_kw(curve),
        periods=periods,
    )


async def heat_map(work: UnitOfWork, *, profile: Row[Any], year: int) -> bytes:
    first = date(year, 1, 1)
    curve = await _curve(work, customer_id=profile.customer_id, first=first, days=(date(year + 1, 1, 1) - first).days)
    return await asyncio.to_thread(
        plots.heat_map, title=f"{profile.name}　{year} 年负荷 load of the year", first=first, kw=_kw(curve)
    )


async def score_radar(work: UnitOfWork, *, profile: Row[Any], month: str) -> bytes:
    row = await score_row(work, customer_id=profile.customer_id, month=month)
    values, result = result_of(row, await scheme_named(work, version=row.scheme_version))
    if result is None:
        raise NotFound(what_zh="月指标", what_en="indicators of that month", field="month")
    axes = []
    for code, name in NAMES.items():
        value, points = values[code].value, result.sub_scores.get(code)
        shown = f"{value:.4g} → {points:.0f}" if value is not None and points is not None else "无数据 none"
        axes.append(plots.Axis(label=name, value=shown, share=points / 100 if points is not None else None))
    total = f"{row.score:.2f} 分 {row.band}" if row.score is not None else "未评分 not scored"
    return await asyncio.to_thread(
        plots.radar, title=f"{profile.name}　{month} 能效 efficiency　{total}", axes_shown=axes,
        note=f"取值 → 得分，外圈 100 分；方案 {row.scheme_version}　value → sub-score, the rim is 100",
    )  # fmt: skip


async def portrait_radar(*, profile: Row[Any]) -> bytes:
    """The seven indicators; for staff only."""
    axes = []
    for code, (name, centre, rim, form) in PORTRAIT.items():
        value = profile.explanation["indicators"].get(code, {}).get("value")
        share = None
        if value is not None:
            place = log10(max(value, 1.0)) if code == "avg_monthly_kwh" else value
            share = min(1.0, max(0.0, (place - centre) / (rim - centre)))
        axes.append(
            plots.Axis(label=name, value=form.format(value) if value is not None else "无数据 none", share=share)
        )
    return await asyncio.to_thread(
        plots.radar, title=f"{profile.name}　客户画像 portrait", axes_shown=axes,
        note="内部资料；刻度仅为绘图之用　internal; the scales are those of the drawing",
    )  # fmt: skip


async def _curve(work: UnitOfWork, *, customer_id: str, first: date, days: int) -> Curve:
    """The sum of the usage points that the customer held, on the days on which it held them."""
    end, h = first + timedelta(days=days), t.usage_point_holder.c
    found = await work.db.execute(
        select(t.usage_point_holder).where(
            h.customer_id == customer_id, h.from_day < end, h.to_day.is_(None) | (h.to_day > first),
            visible(h.customer_id, work=work),
        )
    )  # fmt: skip
    held = {row.usage_point_id: row for row in found}
    curves = await read_curves(
        await work.raw(), usage_point_ids=sorted(held), channel=CHANNELS["active-import"], from_day=first, to_day=end
    )
    if not curves:
        raise NotFound(what_zh="期间负荷曲线", what_en="load curve of that period", field="customer_id")
    nobody = np.ones(days, bool)
    for point, row in held.items():
        # A point that was not held adds nothing; one that was held and says nothing leaves a gap.
        curve = curves.setdefault(point, Curve(energy_wh=np.full((days, 24), MISSING, np.int64), step_minutes=60))
        begin = max(0, (row.from_day - first).days)
        until = (row.to_day - first).days if row.to_day else days
        curve.energy_wh[:begin] = curve.energy_wh[until:] = 0
        nobody[begin:until] = False
    whole = sum_of_curves(curves=list(curves.values()))
    whole.energy_wh[nobody] = MISSING
    return whole


def _kw(curve: Curve) -> NDArray[np.float64]:
    return np.where(curve.present, curve.energy_wh * 60 / curve.step_minutes / 1000, np.nan)
