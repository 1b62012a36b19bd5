"""Which storage for interval data: `python -m bench.interval_storage [--meters 3000] [--repeats 3]`.

Rates and WAL bytes per reading of two storages on an embedded Postgres 18, interleaved, the first round dropped.
The final blocks of all variants must be equal byte for byte before a table is printed.
"""

import argparse
import asyncio
import hashlib
import inspect
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from bench.interval_layouts import (
    BLOCK_TABLE,
    COLUMNS,
    KEYS,
    TAIL_TABLE,
    BlocksByArrays,
    BlocksByCopy,
    Connection,
    Layout,
    TailFolded,
)
from deploy.local.postgres import EmbeddedPostgres
from services.portrait.rules.day_block import WIDTH, BlockKey, Slots
from services.portrait.rules.merge import OfferBatch

DAY = date(2026, 3, 31)
_MIDNIGHT_US = int(datetime(2026, 3, 30, 16, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass(frozen=True)
class Result:
    scenario: str
    layout: str
    store_s: float
    fold_s: float
    readings: int
    wal_bytes: int
    digest: str


def readings(*, seed: int, meters: range, day: date, slots: range, one_event: bool) -> OfferBatch:
    """Synthetic offers. `one_event`: a whole curve with one provenance; else each reading has its own."""
    rng = np.random.default_rng([seed, meters.start, slots.start, day.toordinal()])
    keys = [BlockKey(f"UP-{m:08d}", 1, day, 15) for m in meters]
    shape = (len(keys), len(slots))
    slot = np.broadcast_to(np.arange(slots.start, slots.stop), shape)
    second = slot * 900 + 900 + rng.integers(1, 600, (len(keys), 1) if one_event else shape)
    if one_event:
        second = np.broadcast_to(86_400 + second[:, :1], shape)
    ties = rng.integers(0, 2**32, (len(keys), 1) if one_event else shape)
    flat: dict[str, NDArray[Any]] = {
        "value": rng.integers(500, 90_000, shape).astype(np.int32),
        "quality": np.full(shape, 3, np.uint8),
        "revision": np.zeros(shape, np.int32),
        "source_time_us": _MIDNIGHT_US + second * 1_000_000,
        "tie": np.broadcast_to(ties, shape).astype(np.uint32),
    }
    cells = (np.arange(len(keys))[:, None] * WIDTH + slot).reshape(-1)
    return OfferBatch(keys=keys, offers=Slots(**{k: v.reshape(-1) for k, v in flat.items()}), cells=cells)


def groups(meters: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, meters)) for start in range(0, meters, size))


def scenarios(meters: int) -> dict[str, tuple[list[OfferBatch], list[OfferBatch]]]:
    """Name -> (what is stored before, what is measured); a batch is a transaction."""

    def offers(group: range, slots: range, *, day: date = DAY, one: bool = False) -> OfferBatch:
        return readings(seed=1, meters=group, day=day, slots=slots, one_event=one)

    before = [offers(g, range(40)) for g in groups(meters, 500)]
    return {
        "new day curves, 500 per transaction": (
            [],
            [offers(g, range(96), day=DAY + timedelta(days=d), one=True) for d in (0, 1) for g in groups(meters, 500)],
        ),
        "single readings in slot order, 3,000 per transaction": (
            before,
            [offers(g, range(s, s + 1)) for s in range(40, 52) for g in groups(meters, 3_000)],
        ),
        "backlog of eight slots per meter, 500 meters per transaction": (
            before,
            [offers(g, range(40, 48)) for g in groups(meters, 500)],
        ),
    }


async def measure(connection: Connection, layout: Layout, name: str, meters: int) -> Result:
    before, batches = scenarios(meters)[name]
    await layout.prepare(connection)
    filler = BlocksByArrays()
    for batch in before:
        await filler.store(connection, batch)
    await connection.execute("VACUUM ANALYZE block")
    await connection.execute("CHECKPOINT")
    wal = await connection.fetchval("SELECT pg_current_wal_lsn()")
    start = time.perf_counter()
    for batch in batches:
        await layout.store(connection, batch)
    stored = time.perf_counter()
    await layout.fold(connection)
    folded = time.perf_counter()
    wal_bytes = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1)", wal)
    return Result(
        scenario=name,
        layout=layout.name,
        store_s=stored - start,
        fold_s=folded - stored,
        readings=sum(len(b.cells) for b in batches),
        wal_bytes=int(wal_bytes),
        digest=await digest(connection),
    )


async def digest(connection: Connection) -> str:
    found = hashlib.sha256()
    columns = ", ".join(f'"{c}"' for c in COLUMNS)
    for row in await connection.fetch(f"SELECT {columns} FROM block ORDER BY {', '.join(KEYS)}"):
        found.update(repr(tuple(row)).encode())
    return found.hexdigest()


async def compare(dsn: str, *, meters: int, repeats: int) -> list[Result]:
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP DATABASE IF EXISTS interval_storage")
    await connection.execute("CREATE DATABASE interval_storage")
    await connection.close()
    connection = await asyncpg.connect(dsn.rsplit("/", 1)[0] + "/interval_storage")
    try:
        await connection.execute(BLOCK_TABLE + TAIL_TABLE)
        layouts: list[Layout] = [BlocksByCopy(), BlocksByArrays(), TailFolded()]
        rounds = []
        for repeat in range(repeats + 1):
            found = [await measure(connection, la, name, meters) for name in scenarios(1) for la in layouts]
            rounds += found if repeat else []  # the first round warms caches and plans
            print(f"round {repeat} of {repeats}: {sum(r.store_s + r.fold_s for r in found):.1f} s")
        return rounds
    finally:
        await connection.close()


def report(results: list[Result]) -> None:
    """Raises SystemExit when the variants disagree about the final blocks."""
    for name in dict.fromkeys(r.scenario for r in results):
        here = [r for r in results if r.scenario == name]
        if len({r.digest for r in here}) != 1:
            raise SystemExit(f"{name}: the final blocks differ; no figures")
        print(f"\n{name} ({here[0].readings:,} readings), equal blocks: {here[0].digest[:12]}")
        print(f"{'layout':26s}{'stored/s':>12s}{'visible/s [min-max]':>34s}{'WAL B/reading':>15s}")
        for layout in dict.fromkeys(r.layout for r in here):
            mine = [r for r in here if r.layout == layout]
            stored = statistics.median(r.readings / r.store_s for r in mine)
            whole = sorted(r.readings / (r.store_s + r.fold_s) for r in mine)
            wal = statistics.median(r.wal_bytes / r.readings for r in mine)
            spread = f"{statistics.median(whole):,.0f} [{whole[0]:,.0f}-{whole[-1]:,.0f}]"
            print(f"{layout:26s}{stored:12,.0f}{spread:>34s}{wal:15,.0f}")
    from bench import interval_layouts

    shared = _lines(interval_layouts.merged_rows)
    tail = sum(_lines(x) for x in (TailFolded, interval_layouts._batches, interval_layouts._batch))
    print(f"\ncode lines: shared merge {shared}; blocks +{_lines(BlocksByArrays)}; tail +{tail}, and its readers")


def _lines(thing: object) -> int:
    return len([line for line in inspect.getsource(thing).splitlines() if line.strip()])  # type: ignore[arg-type]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--meters", type=int, default=3_000)
    arguments.add_argument("--repeats", type=int, default=3)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="keyline-bench-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(folder=Path(folder) / "postgres")
        try:
            results = asyncio.run(compare(server.start().superuser_dsn, meters=chosen.meters, repeats=chosen.repeats))
        finally:
            server.stop()
    report(results)


if __name__ == "__main__":
    main()
