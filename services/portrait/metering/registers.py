"""Register readings and meter changes from the tables, in the form that the rules take."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import select

from services.kernel.clock import BUSINESS_ZONE
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.rules.registers import CHANNEL_REGISTERS, MeterChange, RegisterReading, register_energy

_LATE_FREEZE = timedelta(days=3)
"""A month's demand may be frozen a little after the month; its own time says where it belongs."""


@dataclass(frozen=True, slots=True)
class PointRegisters:
    readings: list[RegisterReading] = field(default_factory=list)
    changes: list[MeterChange] = field(default_factory=list)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BUSINESS_ZONE)


async def point_registers(
    work: UnitOfWork, *, usage_point_ids: Sequence[str], start: datetime, end: datetime
) -> dict[str, PointRegisters]:
    """What was frozen and changed in [start, end], and shortly after for demand; points without any are left out."""
    r, c = t.register_reading.c, t.meter_change.c
    found: dict[str, PointRegisters] = defaultdict(PointRegisters)
    query = select(t.register_reading).where(
        r.usage_point_id.in_(usage_point_ids), r.frozen_at >= start, r.frozen_at <= end + _LATE_FREEZE
    )
    for row in await work.db.execute(query):
        found[row.usage_point_id].readings.append(
            RegisterReading(
                meter_id=row.meter_id, register_name=row.register_name, tou_period=row.tou_period,
                frozen_at=row.frozen_at, value=row.value, multiplier=row.multiplier, demand_at=row.demand_at,
                revision=row.revision,
            )
        )  # fmt: skip
    changed = select(t.meter_change).where(
        c.usage_point_id.in_(usage_point_ids), c.changed_at >= start, c.changed_at <= end
    )
    for row in await work.db.execute(changed):
        found[row.usage_point_id].changes.append(
            MeterChange(
                changed_at=row.changed_at, old_meter_id=row.old_meter_id, new_meter_id=row.new_meter_id,
                old_active_import_kwh=row.old_active_import_kwh, new_active_import_kwh=row.new_active_import_kwh,
                new_multiplier=row.new_multiplier,
            )
        )  # fmt: skip
    return dict(found)


def channel_energy(
    registers: PointRegisters, *, channel: str, start: datetime, end: datetime
) -> tuple[int | None, str | None]:
    """Wh or varh of all registers that make up the channel, of those the meter has; or the reason why not."""
    had = {r.register_name for r in registers.readings}
    names = [name for name in CHANNEL_REGISTERS[channel] if name in had] or list(CHANNEL_REGISTERS[channel][:1])
    total = 0
    for name in names:
        energy = register_energy(
            readings=registers.readings, changes=registers.changes, register_name=name, tou_period="total",
            start=start, end=end,
        )  # fmt: skip
        if energy.wh is None:
            return None, energy.reason
        total += energy.wh
    return total, None


def midnights_of(registers: PointRegisters, *, channel: str) -> list[date]:
    """Local days at whose beginning a register of the channel was frozen, ascending."""
    local = {
        r.frozen_at.astimezone(BUSINESS_ZONE)
        for r in registers.readings
        if r.register_name in CHANNEL_REGISTERS[channel] and r.tou_period == "total"
    }
    return sorted({moment.date() for moment in local if moment == midnight(moment.date())})
