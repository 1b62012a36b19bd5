"""Stores interval data: touched blocks are locked in key order, overlaid in NumPy and written back if they changed."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import prod
from typing import Any, TypeAlias

import asyncpg
import numpy as np

from services.portrait.metering.month_marks import mark_holders_stale, mark_stale
from services.portrait.metering.tables import CONTENT, KEY, ROLLUPS
from services.portrait.rules.day_block import FIELDS, WIDTH, BlockKey, Slots, StoredBlock, decode, encode
from services.portrait.rules.merge import MergeCounts, OfferBatch, day_rollups, overlay

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SCHEMA = "portrait"
_ATTEMPTS = 3
_BLOCKS_AT_ONCE = 2_000
"""Bounds the memory of a batch of many blocks; measured with `make bench NAME=store-`."""
_STAGED = (*KEY, *CONTENT, *ROLLUPS, "known")


def _listed(names: Iterable[str], *, prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in names)


_LOCK = f"""
SELECT k.ordinal - 1, {_listed(CONTENT, prefix="b.")}
FROM unnest($1::text[], $2::smallint[], $3::date[], $4::smallint[]) WITH ORDINALITY AS k({_listed(KEY)}, ordinal)
JOIN {SCHEMA}.interval_block b USING ({_listed(KEY)})
WHERE b.day BETWEEN $5 AND $6 ORDER BY k.ordinal FOR UPDATE OF b"""
_LOCK_ALL = f"""
SELECT {_listed((*KEY, *CONTENT), prefix="b.")} FROM {SCHEMA}.interval_block b
WHERE usage_point_id = ANY($1::text[]) AND channel = ANY($2::smallint[]) AND day = ANY($3::date[])
  AND step_minutes = ANY($4::smallint[])
ORDER BY {_listed(KEY, prefix="b.")} FOR UPDATE OF b"""
"""For keys that are all combinations of their parts, as of one slot or day of many meters: one walk over the index."""
_STAGE = f"""
CREATE TEMP TABLE IF NOT EXISTS incoming_block ON COMMIT DELETE ROWS AS
SELECT {_listed((*KEY, *CONTENT, *ROLLUPS))}, false AS known FROM {SCHEMA}.interval_block WITH NO DATA"""
_HOLDER = f"""
(SELECT h.customer_id FROM {SCHEMA}.usage_point_holder h
 WHERE h.usage_point_id = i.usage_point_id AND h.from_day <= i.day AND (h.to_day IS NULL OR i.day < h.to_day)
 ORDER BY h.from_day DESC LIMIT 1)"""


def _insert(*, customer: str) -> str:
    columns = (*KEY, *CONTENT, *ROLLUPS)
    return f"""
INSERT INTO {SCHEMA}.interval_block ({_listed(columns)}, customer_id)
SELECT {_listed(columns, prefix="i.")}, {customer}
FROM pg_temp.incoming_block i WHERE i.known = $1 ORDER BY {_listed(KEY, prefix="i.")}"""


_INSERT = _insert(customer=_HOLDER)
# Of a block that is there and locked, the customer stays: it need not be looked for.
_REPLACE = f"{_insert(customer='NULL')} ON CONFLICT ({_listed(KEY)}) DO UPDATE SET " + ", ".join(
    f'"{name}" = excluded."{name}"' for name in (*CONTENT, *ROLLUPS)
)
_HELD = f"""
SELECT usage_point_id, from_day, to_day, customer_id FROM {SCHEMA}.usage_point_holder WHERE usage_point_id = $1"""
_ADOPT = f"""
UPDATE {SCHEMA}.interval_block b SET customer_id = h.customer_id FROM {SCHEMA}.usage_point_holder h
WHERE h.usage_point_id = b.usage_point_id AND h.from_day <= b.day AND (h.to_day IS NULL OR b.day < h.to_day)"""


@dataclass(frozen=True, kw_only=True)
class StoredCounts:
    counts: MergeCounts
    changed: Sequence[BlockKey]
    """Blocks whose content is another than before, in key order."""


async def store_blocks(connection: Connection, batch: OfferBatch) -> StoredCounts:
    """Apply `batch` inside the caller's transaction (read committed). Repeating it changes nothing.

    `connection` is the raw asyncpg connection; a savepoint is used. Two writers that meet in a deadlock, or
    thrice create the same block at the same time, raise asyncpg's transient error for the caller to retry.
    """
    if not connection.is_in_transaction():
        raise RuntimeError("store_blocks needs the caller's open transaction")
    if not batch.keys:
        return StoredCounts(counts=MergeCounts(), changed=[])
    await ensure_partitions(connection, days={key.day for key in batch.keys})
    done = StoredCounts(counts=MergeCounts(), changed=[])
    for part in _parts(batch):
        stored = await _store_part(connection, part)
        done = StoredCounts(counts=done.counts + stored.counts, changed=[*done.changed, *stored.changed])
    # Once and last: its rows are shared by usage points of other writers, and are locked in one order and shortly.
    await mark_stale(connection, changed=[(key.usage_point_id, key.day) for key in done.changed])
    return done


def _parts(batch: OfferBatch) -> Iterator[OfferBatch]:
    """In key order, so that locks are taken in one order by all."""
    if len(batch.keys) <= _BLOCKS_AT_ONCE:
        yield batch
        return
    part = batch.cells // (WIDTH * _BLOCKS_AT_ONCE)
    for number, start in enumerate(range(0, len(batch.keys), _BLOCKS_AT_ONCE)):
        mine = part == number
        yield OfferBatch(
            keys=batch.keys[start : start + _BLOCKS_AT_ONCE],
            offers=batch.offers[mine],
            cells=batch.cells[mine] - start * WIDTH,
        )


async def _store_part(connection: Connection, batch: OfferBatch) -> StoredCounts:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with connection.transaction():
                return await _store_once(connection, batch)
        except asyncpg.UniqueViolationError as error:
            # Another writer created one of the blocks after we looked; now it is there to be locked.
            if attempt == _ATTEMPTS:
                raise asyncpg.SerializationError("interval blocks are being created by another writer") from error
    raise AssertionError


async def _store_once(connection: Connection, batch: OfferBatch) -> StoredCounts:
    before, known = await _locked_blocks(connection, batch.keys)
    merged = overlay(blocks=before, offers=batch.offers, cells=batch.cells)
    changed = np.flatnonzero(merged.changed)
    keys = [batch.keys[i] for i in changed.tolist()]
    if keys:
        rows = _rows(keys, merged.slots[changed], known[changed].tolist())
        await connection.execute(_STAGE)
        await connection.copy_records_to_table("incoming_block", schema_name="pg_temp", records=rows, columns=_STAGED)
        for statement, is_known in ((_INSERT, False), (_REPLACE, True)):
            if is_known in known[changed]:
                await connection.execute(statement, is_known)
        await connection.execute("DELETE FROM pg_temp.incoming_block")
    return StoredCounts(counts=merged.counts, changed=keys)


async def _locked_blocks(connection: Connection, keys: Sequence[BlockKey]) -> tuple[Slots, Any]:
    """The blocks of `keys` (empty where there is none) and which of them exist, locked until the end."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    parts = [sorted(set(column)) for column in columns]
    if prod(map(len, parts)) == len(keys):
        found = await connection.fetch(_LOCK_ALL, *parts)
        at = np.arange(len(keys))
        if len(found) < len(keys):
            places = {key: place for place, key in enumerate(keys)}
            at = np.array([places[BlockKey(*row[:4])] for row in found], np.int64)
    else:
        found = await connection.fetch(_LOCK, *columns, min(columns[2]), max(columns[2]))
        at = np.array([row[0] for row in found], np.int64)
    slots, known = Slots.empty(blocks=len(keys)), np.zeros(len(keys), bool)
    if found:
        there = decode(rows=[StoredBlock(*row[-len(CONTENT) :]) for row in found])
        for name, _ in FIELDS:
            getattr(slots, name)[at] = getattr(there, name)
        known[at] = True
    return slots, known


def _rows(keys: Sequence[BlockKey], slots: Slots, known: Sequence[bool]) -> list[tuple[Any, ...]]:
    blocks = encode(slots=slots, step_minutes=np.array([key.step_minutes for key in keys]))
    rollups = day_rollups(slots=slots)
    numbers = zip(*[getattr(rollups, name).tolist() for name in ROLLUPS], strict=True)
    return [(*k, *b, *n, there) for k, b, n, there in zip(keys, blocks, numbers, known, strict=True)]


async def ensure_partitions(connection: Connection, days: Iterable[date]) -> None:
    """Make sure the months of `days` exist. Nothing is remembered: a rolled-back month is gone again."""
    months = sorted({day.replace(day=1) for day in days})
    await connection.execute(f"SELECT {SCHEMA}.ensure_interval_month(d) FROM unnest($1::date[]) AS d", months)


async def hold_usage_point(
    connection: Connection, *, usage_point_id: str, periods: Sequence[tuple[date, date | None, str]]
) -> list[date]:
    """Replace who held a usage point when: (from day, first day no longer held or None, customer), not overlapping.

    Blocks stored earlier, also before the usage point was known, move to their customer. Returns their days.
    """
    holder = f"{SCHEMA}.usage_point_holder"
    rows = [(usage_point_id, *period) for period in sorted(periods, key=lambda p: p[0])]
    if [tuple(row) for row in await connection.fetch(f"{_HELD} ORDER BY from_day", usage_point_id)] != rows:
        await mark_holders_stale(connection, usage_point_id=usage_point_id)
        await connection.execute(f"DELETE FROM {holder} WHERE usage_point_id = $1", usage_point_id)
        await connection.executemany(f"INSERT INTO {holder} VALUES ($1, $2, $3, $4)", rows)
        await mark_holders_stale(connection, usage_point_id=usage_point_id)
    moved = await connection.fetch(
        f"UPDATE {SCHEMA}.interval_block i SET customer_id = {_HOLDER}"
        f" WHERE usage_point_id = $1 AND customer_id IS DISTINCT FROM {_HOLDER} RETURNING day",
        usage_point_id,
    )
    return sorted({row["day"] for row in moved})


async def adopt_orphans(connection: Connection) -> list[tuple[str, date]]:
    """Give blocks without a customer to the holder of their day; for a job, since a block stored while its usage
    point was being announced by another transaction missed the announcement. Returns the points and days moved."""
    moved = await connection.fetch(f"{_ADOPT} AND b.customer_id IS NULL RETURNING b.usage_point_id, b.day")
    await mark_stale(connection, changed=[(row[0], row[1]) for row in moved])
    return sorted({(row["usage_point_id"], row["day"]) for row in moved})
