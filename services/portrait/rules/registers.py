"""Energy and demand from register readings: difference x multiplier, across meter changes.

Registers bill and curves analyse; the two differ, and `difference` says by how much. Nothing is guessed: a missing
reading, a register that went back (also one that may have passed its last digit) or a multiplier that changed
between two readings gives a reason instead of a figure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

REASONS: dict[str, tuple[str, str]] = {
    "no-register-at-start": ("期初没有表码", "there is no reading at the beginning"),
    "no-register-at-end": ("期末没有表码", "there is no reading at the end"),
    "no-register-at-change": ("换表时刻没有新旧表码", "a reading at the meter change is missing"),
    "meter-chain-broken": ("换表记录前后不衔接", "the meter changes do not follow on each other"),
    "multiplier-changed": ("两次表码之间倍率改变", "the multiplier changed between two readings"),
    "register-went-back": ("表码倒走或翻转，请核对", "the register went back or rolled over; check it"),
}
CHANNEL_REGISTERS = {
    "active-import": ("active-import",),
    "active-export": ("active-export",),
    "reactive-lagging": ("reactive-q1", "reactive-q2"),
    "reactive-leading": ("reactive-q3", "reactive-q4"),
}
"""Registers that add up to a curve's channel: positive reactive energy is quadrants I and II, negative III and IV
(IEC 62053-23). Meters can be set to other combinations: needs verification per meter type."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """`value` in kWh, kvarh or kW, before the multiplier (CT x PT)."""

    meter_id: str
    register_name: str
    tou_period: str
    frozen_at: datetime
    value: Decimal
    multiplier: int
    demand_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterChange:
    changed_at: datetime
    old_meter_id: str
    new_meter_id: str
    old_active_import_kwh: Decimal
    new_active_import_kwh: Decimal
    new_multiplier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One meter's part of a period."""

    meter_id: str
    begin: datetime
    end: datetime
    first: Decimal
    last: Decimal
    multiplier: int

    @property
    def wh(self) -> int:
        return int(((self.last - self.first) * 1000 * self.multiplier).to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterEnergy:
    """Exactly one of `wh` (Wh or varh) and `reason` is None."""

    wh: int | None
    reason: str | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximumDemand:
    kw: Decimal
    occurred_at: datetime | None


def reading_rank(reading: RegisterReading) -> tuple[int, Decimal, int, datetime]:
    """A total order over what was said of one register at one instant; the greatest counts."""
    return reading.revision, reading.value, reading.multiplier, reading.demand_at or _NEVER


def change_rank(change: MeterChange) -> tuple[str, Decimal, Decimal, int]:
    """A total order over what was said of one change (same instant, same new meter); the greatest counts."""
    return change.old_meter_id, change.old_active_import_kwh, change.new_active_import_kwh, change.new_multiplier


class _Broken(Exception):
    def __init__(self, reason: str) -> None:
        assert reason in REASONS, reason
        self.reason = reason


def register_energy(
    *, readings: Iterable[RegisterReading], changes: Iterable[MeterChange], register_name: str, tou_period: str,
    start: datetime, end: datetime,
) -> RegisterEnergy:  # fmt: skip
    """Energy of [start, end) of one register of one usage point, through every meter change inside.

    A change carries the active import total of both meters; other registers need a reading of the old and of the
    new meter frozen at the instant of the change.
    """
    best: dict[tuple[str, datetime], RegisterReading] = {}
    for reading in readings:
        if (reading.register_name, reading.tou_period) == (register_name, tou_period):
            key = (reading.meter_id, reading.frozen_at)
            best[key] = max(reading, best.get(key, reading), key=reading_rank)
    inside = sorted((c for c in changes if start < c.changed_at < end), key=lambda c: (c.changed_at, c.new_meter_id))
    carried = (register_name, tou_period) == ("active-import", "total")
    try:
        steps = tuple(_steps(best, inside, carried=carried, start=start, end=end))
    except _Broken as broken:
        return RegisterEnergy(wh=None, reason=broken.reason)
    return RegisterEnergy(wh=sum(step.wh for step in steps), steps=steps)


def _steps(
    best: dict[tuple[str, datetime], RegisterReading], changes: Sequence[MeterChange], *, carried: bool,
    start: datetime, end: datetime,
) -> Iterable[Step]:  # fmt: skip
    meter = changes[0].old_meter_id if changes else _only_meter(best, start, end)
    first = _at(best, meter, start, "no-register-at-start")
    begin = start
    for change in changes:
        if change.old_meter_id != meter:
            raise _Broken("meter-chain-broken")
        old = _said(change, meter, change.old_active_import_kwh, first.multiplier) if carried else None
        last = _at_change(best, change, meter, old)
        yield _step(first, last, begin, change.changed_at)
        meter, begin = change.new_meter_id, change.changed_at
        new = _said(change, meter, change.new_active_import_kwh, change.new_multiplier) if carried else None
        first = _at_change(best, change, meter, new)
    yield _step(first, _at(best, meter, end, "no-register-at-end"), begin, end)


def _only_meter(best: dict[tuple[str, datetime], RegisterReading], start: datetime, end: datetime) -> str:
    at_start = {meter for meter, at in best if at == start}
    at_end = {meter for meter, at in best if at == end}
    if both := at_start & at_end:
        return min(both)
    raise _Broken("no-register-at-end" if at_start else "no-register-at-start")


def _at(
    best: dict[tuple[str, datetime], RegisterReading], meter: str, instant: datetime, reason: str
) -> RegisterReading:
    if (meter, instant) not in best:
        raise _Broken(reason)
    return best[meter, instant]


def _at_change(
    best: dict[tuple[str, datetime], RegisterReading], change: MeterChange, meter: str, said: RegisterReading | None
) -> RegisterReading:
    return said or _at(best, meter, change.changed_at, "no-register-at-change")


def _said(change: MeterChange, meter: str, value: Decimal, multiplier: int) -> RegisterReading:
    return RegisterReading(
        meter_id=meter, register_name="active-import", tou_period="total", frozen_at=change.changed_at, value=value,
        multiplier=multiplier,
    )  # fmt: skip


def _step(first: RegisterReading, last: RegisterReading, begin: datetime, end: datetime) -> Step:
    if first.multiplier != last.multiplier:
        raise _Broken("multiplier-changed")
    if last.value < first.value:
        raise _Broken("register-went-back")
    return Step(
        meter_id=first.meter_id, begin=begin, end=end, first=first.value, last=last.value,
        multiplier=first.multiplier,
    )  # fmt: skip


def maximum_demand(
    *, readings: Iterable[RegisterReading], start: datetime, end: datetime, tou_period: str = "total"
) -> MaximumDemand | None:
    """The greatest demand that the meters themselves formed in [start, end), in kW; None when none was frozen.

    Meters slide their 15 minutes by the minute, so this is above the highest of the 96 points, and it counts. A
    reading without its time belongs to the period in which it was frozen.
    """
    found = [
        MaximumDemand(kw=r.value * r.multiplier, occurred_at=r.demand_at)
        for r in _winners(r for r in readings if (r.register_name, r.tou_period) == ("maximum-demand", tou_period))
        if (start <= r.demand_at < end if r.demand_at is not None else start < r.frozen_at <= end)
    ]
    return max(found, key=lambda d: (d.kw, d.occurred_at or _NEVER), default=None)


def _winners(readings: Iterable[RegisterReading]) -> list[RegisterReading]:
    best: dict[tuple[str, datetime], RegisterReading] = {}
    for reading in readings:
        key = (reading.meter_id, reading.frozen_at)
        best[key] = max(reading, best.get(key, reading), key=reading_rank)
    return list(best.values())


def difference(*, register_wh: int | None, curve_wh: int | None) -> tuple[int, float] | None:
    """Curve minus register, in Wh and as a share of the register; None where one of them is missing."""
    if register_wh is None or curve_wh is None:
        return None
    gap = curve_wh - register_wh
    return gap, gap / register_wh if register_wh else (0.0 if gap == 0 else float("inf"))
