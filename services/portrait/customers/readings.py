"""Takes batches of `metering-readings`: curves to day blocks, registers and meter changes to their tables."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.metering import IntervalBlockRecorded, MeterChanged, RegisterReadingFrozen
from services.kernel.broker import Record
from services.kernel.manifest import Rejected
from services.kernel.wire import Poison, Window, attributes_of, check_time, decode
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.metering.decode import decode_blocks
from services.portrait.metering.store import store_blocks

WINDOW = Window()


async def take_readings(batch: Sequence[Record], *, work: UnitOfWork) -> Sequence[Rejected]:
    """Idempotent by construction: every slot and register is won by a total order over what was said of it."""
    curves = [r for r in batch if r.headers.get("ce_type") == IntervalBlockRecorded.TYPE]
    decoded = decode_blocks(curves, now=work.now, window=WINDOW)
    await store_blocks(await work.raw(), decoded.batch)
    registers, changes, rejected = _events(batch, work)
    await _store_registers(work, registers)
    await _store_changes(work, changes)
    return [*decoded.rejected, *rejected]


def _events(
    batch: Sequence[Record], work: UnitOfWork
) -> tuple[list[RegisterReadingFrozen], list[MeterChanged], list[Rejected]]:
    registers: list[RegisterReadingFrozen] = []
    changes: list[MeterChanged] = []
    rejected: list[Rejected] = []
    for record in batch:
        type_ = record.headers.get("ce_type")
        if type_ == IntervalBlockRecorded.TYPE:
            continue
        try:
            check_time(attributes_of(record), window=WINDOW, now=work.now)
            if type_ == RegisterReadingFrozen.TYPE:
                event = decode(record, RegisterReadingFrozen)
                assert isinstance(event, RegisterReadingFrozen)
                registers.append(event)
            elif type_ == MeterChanged.TYPE:
                change = decode(record, MeterChanged)
                assert isinstance(change, MeterChanged)
                changes.append(change)
        except Poison as poison:
            rejected.append(Rejected(record=record, poison=poison))
    return registers, changes, rejected


async def _store_registers(work: UnitOfWork, said: Sequence[RegisterReadingFrozen]) -> None:
    """Of one register at one instant the highest revision counts, of equal ones the higher value."""
    keys = [c.name for c in t.register_reading.primary_key.columns]
    best: dict[tuple[Any, ...], RegisterReadingFrozen] = {}
    for event in sorted(said, key=lambda e: (e.revision, e.value)):
        best[tuple(getattr(event, k) for k in keys)] = event
    if not best:
        return
    owners = await _owners(work, {e.usage_point_id for e in best.values()})
    rows = [{**best[key].model_dump(), "customer_id": owners.get(best[key].usage_point_id)} for key in sorted(best)]
    statement = upsert(t.register_reading).values(rows)
    known, new = t.register_reading.c, statement.excluded
    await work.db.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_={n: new[n] for n in ("value", "multiplier", "demand_at", "revision")},
            where=tuple_(new.revision, new.value) > tuple_(known.revision, known.value),
        )
    )


async def _store_changes(work: UnitOfWork, said: Sequence[MeterChanged]) -> None:
    if not said:
        return
    owners = await _owners(work, {e.usage_point_id for e in said})
    rows = [{**e.model_dump(), "customer_id": owners.get(e.usage_point_id)} for e in said]
    await work.db.execute(upsert(t.meter_change).values(rows).on_conflict_do_nothing())


async def _owners(work: UnitOfWork, usage_point_ids: set[str]) -> dict[str, str]:
    point = t.usage_point.c
    found = await work.db.execute(
        select(point.usage_point_id, point.customer_id).where(point.usage_point_id.in_(sorted(usage_point_ids)))
    )
    return {row.usage_point_id: row.customer_id for row in found}


async def adopt_registers(work: UnitOfWork) -> None:
    """Give registers stored before, or while, their usage point was announced to its customer."""
    point = t.usage_point.c
    for table in (t.register_reading, t.meter_change):
        await work.db.execute(
            update(table)
            .where(table.c.customer_id.is_(None), table.c.usage_point_id == point.usage_point_id)
            .values(customer_id=point.customer_id)
        )
