"""One customer's month as the registers bill it and as the curves show it, with the difference."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import month_start, shifted
from services.portrait.metering import schemas
from services.portrait.metering.curves import read_curves
from services.portrait.metering.queries import held_points
from services.portrait.metering.registers import PointRegisters, channel_energy, midnight, point_registers
from services.portrait.reference_data import shipped, working_calendar
from services.portrait.rules.day_block import CHANNELS
from services.portrait.rules.load_indicators import Curve
from services.portrait.rules.registers import REASONS, difference, maximum_demand, register_energy
from services.portrait.rules.time_of_use import PERIODS, plan_from


async def customer_month(work: UnitOfWork, *, customer_id: str, month: str) -> schemas.CustomerMonth:
    first = month_start(month)
    after = shifted(first, months=1)
    held = await held_points(work, customer_id=customer_id, first=first, after=after)
    ids = sorted({p.usage_point_id for p in held})
    registers = await point_registers(work, usage_point_ids=ids, start=midnight(first), end=midnight(after))
    curves: dict[str, dict[str, Curve]] = {
        name: await read_curves(
            await work.raw(), usage_point_ids=ids, channel=code, from_day=first, to_day=after
        )
        for name, code in CHANNELS.items()
    }  # fmt: skip
    points = [
        _point(
            point, first, after, registers.get(point, PointRegisters()), {n: c.get(point) for n, c in curves.items()}
        )
        for point in ids
    ]
    demands = [p.demand.demand_kw for p in points if p.demand.demand_kw is not None]
    closed = await work.db.execute(select(t.month_close.c.closed_at).where(t.month_close.c.month == month))
    return schemas.CustomerMonth(
        customer_id=customer_id,
        month=month,
        closed_at=closed.scalar_one_or_none(),
        revisions=await _revisions(work, customer_id, month),
        # Each feed's own maximum, added: 发改办价格〔2016〕1583号.
        demand_kw=sum(demands, Decimal(0)) if demands and len(demands) == len(points) else None,
        usage_points=points,
    )


async def _revisions(work: UnitOfWork, customer_id: str, month: str) -> list[schemas.UsageRevision]:
    r = t.usage_revision.c
    query = (
        select(t.usage_revision)
        .where(r.customer_id == customer_id, r.month == month, visible(r.customer_id, work=work))
        .order_by(r.revision)
    )
    return [
        schemas.UsageRevision(
            revision=row.revision, energy_kwh=Decimal(row.energy_wh) / 1000, completeness=row.completeness,
            reason=row.reason, after_close=row.after_close, changed=row.changed, made_at=row.made_at,
        )
        for row in await work.db.execute(query)
    ]  # fmt: skip


def _point(
    point: str, first: date, after: date, registers: PointRegisters, curves: dict[str, Curve | None]
) -> schemas.PointMonth:
    start, end = midnight(first), midnight(after)
    lines = []
    for name in CHANNELS:
        curve = curves[name]
        wh, reason = channel_energy(registers, channel=name, start=start, end=end)
        if curve is not None or wh is not None or name == "active-import":
            lines.append(_line(name, "total", wh, reason, curve.total_wh if curve else None))
    lines.extend(_tou_lines(registers, curves["active-import"], first, after))
    steps = register_energy(
        readings=registers.readings, changes=registers.changes, register_name="active-import", tou_period="total",
        start=start, end=end,
    ).steps  # fmt: skip
    return schemas.PointMonth(
        usage_point_id=point,
        lines=lines,
        steps=[
            schemas.MeterStep(
                meter_id=s.meter_id, begin=s.begin, end=s.end, first=s.first, last=s.last, multiplier=s.multiplier,
                energy_kwh=Decimal(s.wh) / 1000,
            )
            for s in steps
        ],
        demand=_demand(registers, curves["active-import"], start, end),
    )  # fmt: skip


def _line(channel: str, period: str, wh: int | None, reason: str | None, curve_wh: int | None) -> schemas.RegisterLine:
    zh, en = REASONS[reason] if reason else (None, None)
    gap = difference(register_wh=wh, curve_wh=curve_wh)
    return schemas.RegisterLine(
        channel=channel,
        tou_period=period,
        register_energy=None if wh is None else Decimal(wh) / 1000,
        reason_zh=zh,
        reason_en=en,
        curve_energy=None if curve_wh is None else Decimal(curve_wh) / 1000,
        difference=Decimal(gap[0]) / 1000 if gap else None,
        difference_share=gap[1] if gap and np.isfinite(gap[1]) else None,
    )


def _tou_lines(registers: PointRegisters, curve: Curve | None, first: date, after: date) -> list[schemas.RegisterLine]:
    """A line per period for which the meter has a register."""
    had = {r.tou_period for r in registers.readings if r.register_name == "active-import"} - {"total"}
    shares = _curve_by_period(curve, first, after) if had and curve is not None else {}
    lines = []
    for period in [name.replace("_", "-") for name in PERIODS]:
        if period in had:
            energy = register_energy(
                readings=registers.readings, changes=registers.changes, register_name="active-import",
                tou_period=period, start=midnight(first), end=midnight(after),
            )  # fmt: skip
            lines.append(_line("active-import", period, energy.wh, energy.reason, shares.get(period)))
    return lines


def _curve_by_period(curve: Curve, first: date, after: date) -> dict[str, int]:
    """Wh per tariff period; empty where no plan holds for the whole month or the curve's steps are too long for it."""
    plan, calendar = plan_from(shipped("tou_chongqing_2021_14")), working_calendar()
    days = [first + timedelta(days=n) for n in range((after - first).days)]
    kinds = [(day, "workday" if calendar.is_working_day(day) else "weekend") for day in days]
    try:
        periods = plan.periods(days=kinds, step_minutes=curve.step_minutes)
    except ValueError:
        return {}
    energy = np.where(curve.present, curve.energy_wh, 0)
    return {name.replace("_", "-"): int(energy[periods == code].sum()) for name, code in PERIODS.items()}


def _demand(registers: PointRegisters, curve: Curve | None, start: datetime, end: datetime) -> schemas.PointDemand:
    own = maximum_demand(readings=registers.readings, start=start, end=end)
    seen = curve.maximum_demand_kw if curve is not None else None
    curve_kw = None if seen is None else Decimal(str(seen)).quantize(Decimal("0.000001"))
    if own is not None:
        return schemas.PointDemand(
            demand_kw=own.kw, source="register", occurred_at=own.occurred_at, curve_demand_kw=curve_kw
        )
    return schemas.PointDemand(
        demand_kw=curve_kw, source="none" if curve_kw is None else "curve", occurred_at=None, curve_demand_kw=curve_kw
    )


async def closes(work: UnitOfWork, *, limit: int) -> Sequence[schemas.MonthClosed]:
    c = t.month_close.c
    rows = await work.db.execute(select(t.month_close).order_by(c.month.desc()).limit(limit))
    return [
        schemas.MonthClosed(
            month=r.month, closed_at=r.closed_at, closed_by=r.closed_by, finished_at=r.finished_at
        )
        for r in rows
    ]  # fmt: skip
