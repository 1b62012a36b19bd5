"""Prototypes of two storages of interval data, for the decision in docs/adr/0002-interval-storage.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import asyncpg
import numpy as np

from services.portrait.rules.day_block import FIELDS, WIDTH, BlockKey, Slots, StoredBlock, decode, encode
from services.portrait.rules.merge import OfferBatch, day_rollups, overlay

BLOCK_TABLE = """
CREATE TABLE block (
  usage_point_id text COLLATE "C", channel smallint, day date, step_minutes smallint,
  "values" bytea NOT NULL, quality bytea NOT NULL, revision bytea NOT NULL, source_time_us bytea NOT NULL,
  tie bytea NOT NULL, total bigint NOT NULL, maximum bigint NOT NULL, maximum_slot smallint NOT NULL,
  minimum bigint NOT NULL, minimum_slot smallint NOT NULL, present smallint NOT NULL, estimated smallint NOT NULL,
  PRIMARY KEY (usage_point_id, channel, day, step_minutes)
) PARTITION BY RANGE (day);
CREATE TABLE block_2026_03 PARTITION OF block FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE TABLE block_2026_04 PARTITION OF block FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
"""
KEYS = ("usage_point_id", "channel", "day", "step_minutes")
CONTENT = ("values", "quality", "revision", "source_time_us", "tie")
ROLLUPS = ("total", "maximum", "maximum_slot", "minimum", "minimum_slot", "present", "estimated")
COLUMNS = (*KEYS, *CONTENT, *ROLLUPS)
_LIST = ", ".join(f'"{c}"' for c in COLUMNS)
_KEY_ARRAYS = "unnest($1::text[], $2::smallint[], $3::date[], $4::smallint[])"
_LOCK = f"""
SELECT k.ordinal - 1, {", ".join(f'b."{c}"' for c in CONTENT)}
FROM {_KEY_ARRAYS} WITH ORDINALITY AS k({", ".join(KEYS)}, ordinal) JOIN block b USING ({", ".join(KEYS)})
WHERE b.day BETWEEN $5 AND $6 ORDER BY k.ordinal FOR UPDATE OF b"""
_UPDATE = f" ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET " + ", ".join(
    f'"{c}" = excluded."{c}"' for c in (*CONTENT, *ROLLUPS)
)
_TYPES = ("text", "smallint", "date", "smallint", *["bytea"] * 5, "bigint", "bigint", "smallint", "bigint")
_ARRAYS = ", ".join(f"${i + 1}::{t}[]" for i, t in enumerate((*_TYPES, "smallint", "smallint", "smallint")))
BY_ARRAYS = f"INSERT INTO block ({_LIST}) SELECT * FROM unnest({_ARRAYS})" + _UPDATE
BY_COPY = f"INSERT INTO block ({_LIST}) SELECT {_LIST} FROM incoming ORDER BY {', '.join(KEYS)}" + _UPDATE

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Layout(Protocol):
    name: str

    async def prepare(self, connection: Connection) -> None: ...
    async def store(self, connection: Connection, batch: OfferBatch) -> None: ...
    async def fold(self, connection: Connection) -> None: ...


async def merged_rows(connection: Connection, batch: OfferBatch) -> list[tuple[Any, ...]]:
    """Lock the touched blocks in key order, overlay the batch, return the rows that changed."""
    columns = [list(column) for column in zip(*batch.keys, strict=True)]
    found = await connection.fetch(_LOCK, *columns, min(columns[2]), max(columns[2]))
    slots = Slots.empty(blocks=len(batch.keys))
    if found:
        at = np.array([row[0] for row in found])
        there = decode(rows=[StoredBlock(*row[1:6]) for row in found])
        for name, _ in FIELDS:
            getattr(slots, name)[at] = getattr(there, name)
    merged = overlay(blocks=slots, offers=batch.offers, cells=batch.cells)
    changed = np.flatnonzero(merged.changed)
    if not len(changed):
        return []
    keys, kept = [batch.keys[i] for i in changed.tolist()], merged.slots[changed]
    blocks = encode(slots=kept, step_minutes=np.array([k.step_minutes for k in keys]))
    rollups = day_rollups(slots=kept)
    numbers = zip(*[getattr(rollups, name).tolist() for name in ROLLUPS], strict=True)
    return [(*k, *b, *n) for k, b, n in zip(keys, blocks, numbers, strict=True)]


@dataclass
class BlocksByCopy:
    """Day blocks alone, written back by COPY into a temporary table and INSERT."""

    name: str = "blocks (COPY + INSERT)"

    async def prepare(self, connection: Connection) -> None:
        await connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE block) ON COMMIT DELETE ROWS; TRUNCATE block"
        )

    async def store(self, connection: Connection, batch: OfferBatch) -> None:
        async with connection.transaction():
            if rows := await merged_rows(connection, batch):
                await connection.copy_records_to_table("incoming", records=rows, columns=COLUMNS)
                await connection.execute(BY_COPY)

    async def fold(self, connection: Connection) -> None:
        """Nothing is pending."""


@dataclass
class BlocksByArrays:
    """Day blocks alone, written back by INSERT from arrays, without a temporary table."""

    name: str = "blocks (arrays)"

    async def prepare(self, connection: Connection) -> None:
        await connection.execute("TRUNCATE block")

    async def store(self, connection: Connection, batch: OfferBatch) -> None:
        async with connection.transaction():
            if rows := await merged_rows(connection, batch):
                await connection.execute(BY_ARRAYS, *[list(column) for column in zip(*rows, strict=True)])

    async def fold(self, connection: Connection) -> None:
        """Nothing is pending."""


TAIL_TABLE = f"""
CREATE TABLE tail (usage_point_id text COLLATE "C", channel smallint, day date, step_minutes smallint, slot smallint,
  value int, quality smallint, revision int, source_time_us bigint, tie bigint);
CREATE INDEX tail_key ON tail ({", ".join(KEYS)});
"""
TAIL_COLUMNS = (*KEYS, "slot", *[name for name, _ in FIELDS])


@dataclass
class TailFolded:
    """Every reading is appended; a job folds the tail into day blocks, chunk by chunk, and empties it.

    The index is what reads of the newest day and the per-key fold need. The tail is emptied by TRUNCATE, the
    cheapest way there is; a real one would need two tails that change places.
    """

    name: str = "tail + fold"
    chunk: int = 500
    writer: BlocksByCopy = field(default_factory=BlocksByCopy)

    async def prepare(self, connection: Connection) -> None:
        await self.writer.prepare(connection)
        await connection.execute("TRUNCATE tail")

    async def store(self, connection: Connection, batch: OfferBatch) -> None:
        keys = [batch.keys[i] for i in (batch.cells // WIDTH).tolist()]
        fields = [getattr(batch.offers, name).tolist() for name, _ in FIELDS]
        slots = (batch.cells % WIDTH).tolist()
        async with connection.transaction():
            records = [(*k, s, *f) for k, s, f in zip(keys, slots, zip(*fields, strict=True), strict=True)]
            await connection.copy_records_to_table("tail", records=records, columns=TAIL_COLUMNS)

    async def fold(self, connection: Connection) -> None:
        async with connection.transaction():
            order = ", ".join(KEYS)
            rows = await connection.fetch(f"SELECT {', '.join(TAIL_COLUMNS)} FROM tail ORDER BY {order}")
            for batch in _batches(rows, blocks=self.chunk):
                if changed := await merged_rows(connection, batch):
                    await connection.copy_records_to_table("incoming", records=changed, columns=COLUMNS)
                    await connection.execute(BY_COPY)
                    await connection.execute("DELETE FROM incoming")
            await connection.execute("TRUNCATE tail")


def _batches(rows: Sequence[Any], *, blocks: int) -> list[OfferBatch]:
    groups: dict[BlockKey, list[Any]] = {}
    for row in rows:
        groups.setdefault(BlockKey(*row[:4]), []).append(row[4:])
    keys = sorted(groups)
    return [_batch(keys[i : i + blocks], groups) for i in range(0, len(keys), blocks)]


def _batch(keys: Sequence[BlockKey], groups: dict[BlockKey, list[Any]]) -> OfferBatch:
    counts = [len(groups[k]) for k in keys]
    table = np.array([tuple(row) for k in keys for row in groups[k]], np.int64)
    cells = np.repeat(np.arange(len(keys)) * WIDTH, counts) + table[:, 0]
    offers = Slots(**{name: table[:, i + 1].astype(dtype) for i, (name, dtype) in enumerate(FIELDS)})
    return OfferBatch(keys=keys, offers=offers, cells=cells)
