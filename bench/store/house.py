"""Portrait's real schema beside the usual table of rows, both holding the slots that were there before."""

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

from bench.children import run_module
from bench.frame import Measured
from bench.stack import Stack
from bench.store import rows
from bench.store.fill import fill
from bench.store.load import AS_OF, Load, check_wire_form, usage_point
from bench.store.processors import server_seconds
from bench.store.readings import Readings, Rollups, tiers
from services.kernel.settings import KernelSettings
from services.portrait.manifest import SERVICE
from services.portrait.metering.store import Connection, store_blocks
from services.portrait.rules.day_block import MISSING, WIDTH, BlockKey, Slots
from services.portrait.rules.merge import OfferBatch

TOPIC = "metering-readings"
_runs = count(1)


@dataclass(kw_only=True)
class StoreHouse:
    """`meters` by tier: what the slower variants store of the whole."""

    stack: Stack
    settings: KernelSettings
    whole: Load
    meters: dict[str, int]
    blocks: Connection
    rows: Connection
    file: Path
    _digests: dict[str, str] = field(default_factory=dict)
    half_rss_mb: float = 0
    """The consumer's peak memory on half of the whole: equal if it is bounded by the batch, as it should be."""

    def load(self, tier: str) -> Load:
        return self.whole.of(self.meters[tier])

    def settings_of(self, tier: str) -> KernelSettings:
        """The product's topic has one name; the tiers differ by prefix."""
        return self.settings.model_copy(update={"topic_prefix": f"{self.settings.topic_prefix}{tier}-"})

    async def product(self, tier: str = "whole") -> Measured:
        await self.blocks.execute("TRUNCATE portrait.interval_block")
        await self.blocks.execute("INSERT INTO portrait.interval_block SELECT * FROM portrait.before")
        await self.blocks.execute("CHECKPOINT")
        environment = self.stack.environment(self.settings_of(tier))
        arguments = (f"run{next(_runs)}", str(self.load(tier).told))
        return await self._measured(
            tier, lambda: run_module("bench.store.product", *arguments, environment=environment), self._kept_blocks
        )

    async def handler(self, mode: str, tier: str, *, at_once: int = 1) -> Measured:
        await self._reset_rows()
        environment = {
            "BENCH_DSN": self.stack.dsn(rows.DATABASE).replace("postgresql:", "postgresql+asyncpg:"),
            "BENCH_BOOTSTRAP": self.settings.kafka_bootstrap_servers,
            "BENCH_BATCH": str(at_once),
        }
        topic = f"{self.settings_of(tier).topic_prefix}{TOPIC}"
        arguments = (mode, topic, f"run{next(_runs)}", str(self.load(tier).told))
        return await self._measured(
            tier, lambda: run_module("bench.store.handlers", *arguments, environment=environment), self._kept_rows
        )

    async def copy(self) -> Measured:
        """One COPY BINARY of a finished file in one transaction: no broker, no duplicates, no rollups."""
        await self._reset_rows()

        async def run() -> dict[str, Any]:
            begun = time.perf_counter()
            await rows.copy_file(self.rows, self.file)
            return {"records": self.whole.told, "seconds": time.perf_counter() - begun}

        async def kept(meters: int) -> tuple[Readings, None]:
            return await rows.read_rows(self.rows, meters=meters), None

        return await self._measured("whole", run, kept)

    async def _measured(
        self,
        tier: str,
        run: Callable[[], Awaitable[dict[str, Any]]],
        read: Callable[[int], Awaitable[tuple[Readings, Rollups | None]]],
    ) -> Measured:
        load, meters = self.load(tier), self.meters[tier]
        server_before, wal = server_seconds(self.stack.postgres.pid), await self._wal()
        found = await run()
        share = found["records"] / load.told
        million = load.readings / 1e6
        facts = {
            "server_cpu_s_per_million": (server_seconds(self.stack.postgres.pid) - server_before) / million,
            "wal_bytes_per_reading": (await self._wal() - wal) / load.readings,
        }
        if "peak_rss_mb" in found:
            facts["peak_rss_mb"] = found["peak_rss_mb"]
            if read == self._kept_blocks and tier == "whole" and self.half_rss_mb:
                facts["peak_rss_mb_at_half"] = self.half_rss_mb
            facts["client_cpu_s_per_million"] = found["steady_cpu_s"] / million / share
            facts["readings_per_transaction"] = load.readings * share / found["transactions"]
        stored, kept = await read(meters)
        smaller = {name: n for name, n in self.meters.items() if n <= meters}
        return Measured(
            work=load.readings * share,
            seconds=found["seconds"],
            digests=tiers(stored, kept, said=self._said(tier), meters=smaller),
            facts=facts,
        )

    def _said(self, tier: str) -> str:
        if tier not in self._digests:
            self._digests[tier] = self.load(tier).said().digest()
        return self._digests[tier]

    async def _wal(self) -> int:
        return int(await self.rows.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))

    async def _kept_blocks(self, meters: int) -> tuple[Readings, Rollups]:
        found = await self.blocks.fetch(
            'SELECT usage_point_id, channel, day, "values", quality, total, maximum, minimum, present'
            " FROM portrait.interval_block WHERE usage_point_id < $1",
            usage_point(meters),
        )
        assert await self.blocks.fetchval("SELECT count(*) FROM portrait.dead_letter") == 0
        values = np.stack([np.frombuffer(row["values"], "<i4") for row in found]).astype(np.int64)
        quality = np.stack([np.broadcast_to(np.frombuffer(row["quality"], "u1"), WIDTH) for row in found])
        meter = np.array([int(row["usage_point_id"][3:]) for row in found])
        channel = np.array([row["channel"] for row in found])
        day = np.array([(row["day"] - date(1970, 1, 1)).days for row in found])
        there = np.flatnonzero(values.reshape(-1) != MISSING)
        block, slot = np.divmod(there, WIDTH)
        readings = Readings(
            meter=meter[block],
            channel=channel[block],
            start_us=(day[block] * 86_400 - 8 * 3600 + slot * 900) * 1_000_000,
            value=values.reshape(-1)[there],
            quality=quality.reshape(-1)[there].astype(np.int64),
        )
        numbers = {n: np.array([row[n] for row in found]) for n in ("total", "maximum", "minimum", "present")}
        return readings, Rollups(meter=meter, channel=channel, day=day, **numbers)

    async def _kept_rows(self, meters: int) -> tuple[Readings, Rollups]:
        return (
            await rows.read_rows(self.rows, meters=meters),
            await rows.read_rollups(self.rows, meters=meters),
        )

    async def _reset_rows(self) -> None:
        if self.whole.slots.start == 0:
            await self.rows.execute("TRUNCATE reading, day_total")
        else:
            first = min(
                self.whole.slots_of(range(self.whole.slots.start, self.whole.slots.start + 1)).start_us.tolist()
            )
            await self.rows.execute("DELETE FROM reading WHERE start >= to_timestamp($1)", first / 1_000_000)
            await self.rows.execute("TRUNCATE day_total")
            await self.rows.execute("INSERT INTO day_total SELECT * FROM before")
        await self.rows.execute("VACUUM ANALYZE reading")
        await self.rows.execute("CHECKPOINT")


@asynccontextmanager
async def store_house(
    stack: Stack, whole: Load, *, meters: dict[str, int], name: str, twice: bool
) -> AsyncIterator[StoreHouse]:
    """`meters`: of the smaller tiers, which get topics of their own. `twice`: memory is measured on the half too."""
    check_wire_form()
    settings = await stack.install(SERVICE, database=name)
    settings = settings.model_copy(update={"as_of": AS_OF, "as_of_started_at": time.time()})
    blocks = await asyncpg.connect(stack.dsn(name))
    row_table = await asyncpg.connect(await stack.new_database(rows.DATABASE))
    try:
        with tempfile.TemporaryDirectory() as folder:
            all_meters = {**meters, **({"half": whole.meters // 2} if twice else {}), "whole": whole.meters}
            house = StoreHouse(
                stack=stack, settings=settings, whole=whole, meters=all_meters, blocks=blocks, rows=row_table,
                file=Path(folder) / "readings.copy",
            )  # fmt: skip
            await row_table.execute(rows.SCHEMA)
            await _what_was_there(house)
            for tier in house.meters:
                await fill(house.load(tier), settings=house.settings_of(tier), topic=TOPIC)
            if twice:
                house.half_rss_mb = float((await house.product("half")).facts["peak_rss_mb"])
            yield house
    finally:
        await blocks.close()
        await row_table.close()


async def _what_was_there(house: StoreHouse) -> None:
    """Holders of all usage points, and the earlier slots in both stores, each reading with its own provenance."""
    await house.blocks.execute("CREATE TABLE portrait.before (LIKE portrait.interval_block)")
    holders = [(usage_point(m), date(2020, 1, 1), None, f"C-{m // 4}") for m in range(house.whole.meters)]
    await house.blocks.copy_records_to_table("usage_point_holder", schema_name="portrait", records=holders)
    async with house.blocks.transaction():
        await house.blocks.execute(
            "SELECT portrait.ensure_interval_month(d) FROM unnest($1::date[]) d", house.whole.days
        )
    told = house.whole.slots
    rows.write_file(house.whole.slots_of(told) if told.start == 0 else house.whole.before(), house.file)
    if told.start:
        await rows.copy_file(house.rows, house.file)
        await house.rows.execute(rows.KEEP_TOTALS)
        await _earlier_blocks(house)
    await house.blocks.execute("VACUUM ANALYZE portrait.usage_point_holder")


async def _earlier_blocks(house: StoreHouse) -> None:
    before, slots = house.whole.before(), house.whole.slots.start
    (day,) = house.whole.days
    rng = np.random.default_rng(1)
    for at in range(0, house.whole.meters, 2_000):
        keys = [BlockKey(usage_point(m), 1, day, 15) for m in range(at, min(at + 2_000, house.whole.meters))]
        part = slice(at * slots, (at + len(keys)) * slots)
        count = len(keys) * slots
        offers = Slots(
            value=before.value[part].astype(np.int32),
            quality=before.quality[part].astype(np.uint8),
            revision=np.zeros(count, np.int32),
            source_time_us=before.start_us[part] + rng.integers(900_000_000, 1_500_000_000, count),
            tie=rng.integers(0, 2**32, count).astype(np.uint32),
        )
        cells = np.repeat(np.arange(len(keys)), slots) * WIDTH + np.tile(np.arange(slots), len(keys))
        async with house.blocks.transaction():
            await store_blocks(house.blocks, OfferBatch(keys=keys, offers=offers, cells=cells))
    await house.blocks.execute("INSERT INTO portrait.before SELECT * FROM portrait.interval_block")
