"""Reads an account's month so far and asks the rules what to say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select

from services.kernel.auth.grants import visible
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_name, shifted
from services.portrait.customers.facts import terms_on
from services.portrait.metering.curves import read_curves, sum_of_curves
from services.portrait.metering.queries import held_points
from services.portrait.metering.registers import PointRegisters, midnight, point_registers
from services.portrait.reference_data import shipped, working_calendar
from services.portrait.rules.basic_charge import rules_from, rules_on
from services.portrait.rules.day_block import CHANNELS, MISSING
from services.portrait.rules.in_month import AccountMonth, Kind, Line, WarningThresholds, assess_month
from services.portrait.rules.load_indicators import Curve
from services.portrait.rules.power_factor import (
    HIGH_VOLTAGE_FROM_KV,
    USER_CLASSES,
    power_factor_standard_hundredths,
)
from services.portrait.rules.projection import Projection, project_month
from services.portrait.rules.registers import maximum_demand
from services.portrait.rules.working_days import Deadline, next_deadlines

LEARN_DAYS = 56
"""A projection by profile learns from the eight weeks before the month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """`data_until` is the end of the newest interval that all usage points of the account have sent."""

    account_id: str
    data_until: datetime | None
    lines: Sequence[Line]
    deadlines: tuple[Deadline, Deadline]
    rules_version: str


async def thresholds_of(work: UnitOfWork, *, customer_id: str, day: date) -> WarningThresholds:
    """The shipped ones of the day with the customer's own newest row laid over them."""
    versions = [WarningThresholds.from_document(d) for d in shipped("warning_thresholds")["versions"]]
    base = max((v for v in versions if v.effective_from <= day), key=lambda v: v.effective_from)
    own = t.warning_threshold
    query = (
        select(own)
        .where(
            own.c.customer_id == customer_id, own.c.effective_from <= day, visible(own.c.customer_id, work=work)
        )
        .order_by(own.c.effective_from.desc())
        .limit(1)
    )  # fmt: skip
    row = (await work.db.execute(query)).first()
    return base if row is None else base.with_own(row.document, effective_from=row.effective_from)


async def assess_customer(
    work: UnitOfWork, *, customer_id: str, warned: Mapping[str, frozenset[Kind]]
) -> list[Assessed]:
    """Every account of the customer in the current month. `warned`: account -> kinds of warnings that stand."""
    today = local_day(work.now)
    first = today.replace(day=1)
    terms = await terms_on(work, customer_id=customer_id, day=today)
    thresholds = await thresholds_of(work, customer_id=customer_id, day=today)
    rules = rules_on(today, versions=rules_from(shipped("basic_charge_rules")))
    deadlines = next_deadlines(today=today, calendar=working_calendar())
    month = await _Reader.open(work, customer_id=customer_id, first=first, today=today)
    found = []
    for row in terms:
        points = month.points_of(row.account_id)
        account = _account(row, month, points, deadlines, thresholds)
        lines = assess_month(
            account=account, rules=rules, thresholds=thresholds, warned=warned.get(row.account_id, frozenset())
        )
        found.append(
            Assessed(
                account_id=row.account_id, data_until=month.data_until(points), lines=lines, deadlines=deadlines,
                rules_version=f"{rules.version}, {thresholds.version}",
            )
        )  # fmt: skip
    return found


def _account(
    terms: Row[Any], month: "_Reader", points: Sequence[str], deadlines: tuple[Deadline, Deadline],
    thresholds: WarningThresholds,
) -> AccountMonth:  # fmt: skip
    projection, days_known = month.projection(points, thresholds)
    beside, lagging, leading = month.beside_reactive(points)
    return AccountMonth(
        method=terms.basic_charge_method if terms.tariff_type == "two-part" else "none",
        contract_demand_kw=terms.contract_demand_kw,
        capacity_kva=terms.contract_capacity_kva,
        power_factor_standard_hundredths=power_factor_standard_hundredths(
            user_class=USER_CLASSES[terms.supply_nature],
            capacity_kva=int(terms.contract_capacity_kva),
            high_voltage=terms.voltage_kv >= HIGH_VOLTAGE_FROM_KV,
            border_160_included=thresholds.power_factor_160_included,
        ),
        days_known=days_known,
        active_wh=month.used_wh(points),
        active_beside_reactive_wh=beside,
        lagging_varh=lagging,
        leading_varh=leading,
        maximum_kw=month.maximum_kw(points),
        projection=projection,
        value_deadline=deadlines[1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """All that is read of a customer for its month so far."""

    first: date
    after: date
    today: date
    accounts: Mapping[str, str]
    """Usage point -> account, of the points held today."""
    curves: Mapping[str, Mapping[str, Curve]]
    """Channel -> usage point -> curve of the month."""
    history: Mapping[str, Curve]
    registers: Mapping[str, PointRegisters]

    @classmethod
    async def open(cls, work: UnitOfWork, *, customer_id: str, first: date, today: date) -> "_Reader":
        after = shifted(first, months=1)
        held = await held_points(work, customer_id=customer_id, first=today, after=today + timedelta(days=1))
        ids = sorted({p.usage_point_id for p in held})
        u = t.usage_point.c
        query = select(u.usage_point_id, u.account_id).where(
            u.usage_point_id.in_(ids), u.customer_id == customer_id, visible(u.customer_id, work=work)
        )
        accounts = {row.usage_point_id: row.account_id for row in await work.db.execute(query)}
        connection = await work.raw()
        return cls(
            first=first,
            after=after,
            today=today,
            accounts=accounts,
            curves={
                name: await read_curves(
                    connection, usage_point_ids=ids, channel=CHANNELS[name], from_day=first, to_day=after
                )
                for name in ("active-import", "reactive-lagging", "reactive-leading")
            },
            history=await read_curves(
                connection, usage_point_ids=ids, channel=CHANNELS["active-import"],
                from_day=first - timedelta(days=LEARN_DAYS), to_day=first,
            ),
            registers=await point_registers(
                work, usage_point_ids=ids, start=midnight(first), end=midnight(after)
            ),
        )  # fmt: skip

    def points_of(self, account_id: str) -> list[str]:
        return sorted(point for point, account in self.accounts.items() if account == account_id)

    def used_wh(self, points: Sequence[str]) -> int | None:
        known = [self.curves["active-import"][p].total_wh for p in points if p in self.curves["active-import"]]
        return sum(known) if known else None

    def beside_reactive(self, points: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        """Active, lagging and leading energy of the intervals known in every channel that the point has."""
        sums: dict[str, int] = {}
        for point in points:
            its = {name: c[point] for name, c in self.curves.items() if point in c}
            if "active-import" not in its or len({c.step_minutes for c in its.values()}) > 1:
                continue
            known = np.logical_and.reduce([c.present for c in its.values()])
            if len(its) > 1 and known.any():
                for name, curve in its.items():
                    sums[name] = sums.get(name, 0) + int(curve.energy_wh[known].sum())
        return sums.get("active-import"), sums.get("reactive-lagging"), sums.get("reactive-leading")

    def maximum_kw(self, points: Sequence[str]) -> Decimal | None:
        """The feeds' own maxima, added. Both the meter's and the curve's are below the month's final one, so the
        greater of them is known to be reached."""
        peaks = []
        for point in points:
            registers = self.registers.get(point, PointRegisters())
            own = maximum_demand(readings=registers.readings, start=midnight(self.first), end=midnight(self.after))
            curve = self.curves["active-import"].get(point)
            seen = curve.maximum_demand_kw if curve is not None else None
            of_curve = [] if seen is None else [Decimal(str(seen)).quantize(Decimal("0.000001"))]
            peaks.append(max([own.kw] if own else [], default=Decimal(-1)))
            peaks[-1] = max([peaks[-1], *of_curve])
        known = [kw for kw in peaks if kw >= 0]
        return sum(known, Decimal(0)) if known else None

    def data_until(self, points: Sequence[str]) -> datetime | None:
        ends = [self._newest(self.curves["active-import"].get(p)) for p in points]
        known = [end for end in ends if end is not None]
        return min(known) if known and len(known) == len(points) else None

    def _newest(self, curve: Curve | None) -> datetime | None:
        if curve is None or not curve.present.any():
            return None
        last = int(np.flatnonzero(curve.present.ravel())[-1]) + 1
        return midnight(self.first) + timedelta(minutes=last * curve.step_minutes)

    def projection(
        self, points: Sequence[str], thresholds: WarningThresholds
    ) -> tuple[Projection | None, int]:  # fmt: skip
        """Projection and days with data. Of several usage points an interval that one lacks is not known."""
        curves = [self.curves["active-import"][p] for p in points if p in self.curves["active-import"]]
        if not curves or len(curves) < len(points):
            return None, 0
        whole = sum_of_curves(curves=curves)
        days_known = int(whole.present.any(axis=1).sum())
        past = [self.history[p] for p in points if p in self.history]
        history = sum_of_curves(curves=past) if len(past) == len(points) else None
        if history is None or history.step_minutes != whole.step_minutes:
            empty = np.full((0, whole.energy_wh.shape[1]), MISSING, np.int64)
            history = Curve(energy_wh=empty, step_minutes=whole.step_minutes)
        return (
            project_month(
                energy=whole.energy_wh, kind=_kinds(self.first, len(whole.energy_wh)), history=history.energy_wh,
                history_kind=_kinds(self.first - timedelta(days=LEARN_DAYS), len(history.energy_wh)),
                method=thresholds.projection,
            ),
            days_known,
        )  # fmt: skip


def _kinds(first: date, count: int) -> NDArray[np.int64]:
    calendar = working_calendar()
    return np.array([calendar.is_working_day(first + timedelta(days=n)) for n in range(count)], np.int64)


def current_month(work: UnitOfWork) -> str:
    return month_name(local_day(work.now))
