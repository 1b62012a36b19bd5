"""Takes batches of `metering-readings`: curves to day blocks, registers and meter changes to their tables."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.schema import Table

from services.contracts.metering import IntervalBlockRecorded, MeterChanged, RegisterReadingFrozen
from services.kernel.manifest import Rejected
from services.kernel.packed import by_type
from services.kernel.records import Record
from services.kernel.wire import Poison, Window, attributes_of, check_time, decode
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day
from services.portrait.metering.changes import note_changed, note_days
from services.portrait.metering.decode import decode_blocks
from services.portrait.metering.store import store_blocks

WINDOW = Window()
_READING_RANK = ("revision", "value", "multiplier", "demand_at")
_BEFORE_ALL: Any = literal_column("'-infinity'::timestamptz")
_CHANGE_RANK = ("old_meter_id", "old_active_import_kwh", "new_active_import_kwh", "new_multiplier")


async def take_readings(batch: Sequence[Record], *, work: UnitOfWork) -> Sequence[Rejected]:
    """Idempotent by construction: every slot and register is won by a total order over what was said of it."""
    told = by_type(batch)
    decoded = decode_blocks(told.pop(IntervalBlockRecorded.TYPE, []), now=work.now, window=WINDOW)
    stored = await store_blocks(await work.raw(), decoded.batch)
    await note_changed(work, keys=stored.changed)
    registers, changes, rejected = _events(told, work)
    await _store_registers(work, registers)
    await _store_changes(work, changes)
    return [*decoded.rejected, *rejected]


def _events(
    told: Mapping[str, Sequence[Record]], work: UnitOfWork
) -> tuple[list[RegisterReadingFrozen], list[MeterChanged], list[Rejected]]:
    registers: list[RegisterReadingFrozen] = []
    changes: list[MeterChanged] = []
    rejected: list[Rejected] = []
    for type_, record in ((name, r) for name, records in told.items() for r in records):
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
    """Of one register at one instant the greatest counts in a total order: rules/registers.py reading_rank."""
    rows = _greatest(t.register_reading, _READING_RANK, [event.model_dump() for event in said])
    if rows:
        await _replace_lesser(work, t.register_reading, _READING_RANK, rows)
        await note_days(work, days=[(row["usage_point_id"], local_day(row["frozen_at"])) for row in rows])


async def _store_changes(work: UnitOfWork, said: Sequence[MeterChanged]) -> None:
    """Of one change (point, instant, new meter) the greatest counts: rules/registers.py change_rank."""
    rows = _greatest(t.meter_change, _CHANGE_RANK, [event.model_dump() for event in said])
    if rows:
        await _replace_lesser(work, t.meter_change, _CHANGE_RANK, rows)
        await note_days(work, days=[(row["usage_point_id"], local_day(row["changed_at"])) for row in rows])


def _greatest(table: Table, rank: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per primary key, in key order: so locks are taken in one order by all."""
    keys = [column.name for column in table.primary_key.columns]
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: tuple(_comparable(r[name]) for name in rank)):
        best[tuple(row[key] for key in keys)] = row
    return [best[key] for key in sorted(best)]


def _comparable(value: Any) -> Any:
    return datetime.min.replace(tzinfo=UTC) if value is None else value


async def _replace_lesser(work: UnitOfWork, table: Table, rank: Sequence[str], rows: list[dict[str, Any]]) -> None:
    keys = [column.name for column in table.primary_key.columns]
    owners = await _owners(work, {row["usage_point_id"] for row in rows})
    statement = upsert(table).values([{**row, "customer_id": owners.get(row["usage_point_id"])} for row in rows])
    told = [name for name in rows[0] if name not in keys]

    def order(source: Any) -> Any:
        return tuple_(*[func.coalesce(source[n], _BEFORE_ALL) if n == "demand_at" else source[n] for n in rank])

    await work.db.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_={name: statement.excluded[name] for name in told},
            where=order(statement.excluded) > order(table.c),
        )
    )


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
