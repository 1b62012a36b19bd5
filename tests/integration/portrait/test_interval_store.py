"""Interval data in a real Postgres: exactly once by construction, for any order, by the worker's own rights."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import numpy as np
import pytest
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.postgres import EmbeddedPostgres
from services.contracts.metering import IntervalBlockRecorded
from services.kernel.broker import Record
from services.kernel.wire import Window
from services.portrait.metering.curves import MonthTotal, month_totals, read_curves, sum_of_curves
from services.portrait.metering.decode import decode_blocks
from services.portrait.metering.store import Connection, StoredCounts, adopt_orphans, hold_usage_point, store_blocks
from services.portrait.metering.tables import interval_tables
from services.portrait.rules.day_block import FIELDS, MISSING, WIDTH, BlockKey, Slots
from services.portrait.rules.merge import MergeCounts, OfferBatch

DAY = date(2026, 3, 31)
Reading = tuple[str, date, int, int, int]  # usage point, day, slot, value, source time


@pytest.fixture(scope="module")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("interval-store")
    server = EmbeddedPostgres(folder=folder / "postgres", synchronous_commit="off")
    try:
        yield server.start().superuser_dsn
    finally:
        server.discard()


@pytest.fixture
async def worker_dsn(server_dsn: str) -> AsyncIterator[str]:
    """An empty schema, owned by the migrator; the worker has rights on the parent tables only."""
    admin = await asyncpg.connect(server_dsn)
    await admin.execute("DROP SCHEMA IF EXISTS portrait CASCADE; DROP ROLE IF EXISTS portrait_worker")
    await admin.execute("CREATE SCHEMA portrait; CREATE ROLE portrait_worker LOGIN PASSWORD 'only-for-this-test'")
    metadata = MetaData(schema="portrait")
    interval_tables(metadata)
    engine = create_async_engine(server_dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    for statement in metadata.info["after_migration"]:
        await admin.execute(statement)
    await admin.execute("GRANT USAGE ON SCHEMA portrait TO portrait_worker")
    for table in metadata.sorted_tables:
        await admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO portrait_worker")
    yield "postgresql://portrait_worker:only-for-this-test@" + server_dsn.split("@")[1]
    await admin.close()


@pytest.fixture
async def worker(worker_dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(worker_dsn)
    yield connection
    await connection.close()


def batch(readings: list[Reading], *, step: int = 15) -> OfferBatch:
    keys = sorted({BlockKey(up, 1, day, step) for up, day, *_ in readings})
    index = {key: i for i, key in enumerate(keys)}
    cells = [index[BlockKey(up, 1, day, step)] * WIDTH + slot for up, day, slot, *_ in readings]
    columns = {
        "value": [r[3] for r in readings],
        "quality": [3] * len(readings),
        "revision": [0] * len(readings),
        "source_time_us": [r[4] for r in readings],
        "tie": [7] * len(readings),
    }
    offers = Slots(**{name: np.array(columns[name]).astype(dtype) for name, dtype in FIELDS})
    return OfferBatch(keys=keys, offers=offers, cells=np.array(cells, np.int64))


async def stored(connection: Connection, readings: list[Reading]) -> StoredCounts:
    async with connection.transaction():
        return await store_blocks(connection, batch(readings))


async def digest(connection: Connection) -> str:
    rows = await connection.fetch("SELECT * FROM portrait.interval_block ORDER BY 1, 2, 3, 4")
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()


def curves(points: int, days: int) -> list[Reading]:
    return [
        (f"UP-{p}", DAY + timedelta(days=d), slot, 100 * p + slot, 1_000)
        for p in range(points)
        for d in range(days)
        for slot in range(96)
    ]


async def test_a_new_curve_is_stored_with_its_rollups(worker: Connection) -> None:
    done = await stored(worker, curves(1, 1))
    row = await worker.fetchrow("SELECT * FROM portrait.interval_block")
    assert row is not None
    assert done.counts == MergeCounts(stored=96)
    assert done.changed == [BlockKey("UP-0", 1, DAY, 15)]
    assert (row["total"], row["maximum"], row["maximum_slot"], row["present"]) == (96 * 95 // 2, 95, 95, 96)


async def test_single_readings_in_random_order_and_partition_end_in_the_same_rows_as_one_batch(
    worker: Connection,
) -> None:
    readings = [*curves(3, 2), ("UP-1", DAY, 5, 9_999, 2_000)]
    await stored(worker, readings)
    expected = await digest(worker)
    await worker.execute("DELETE FROM portrait.interval_block")
    rng = np.random.default_rng(4)
    shuffled = [readings[i] for i in rng.permutation(len(readings))] + readings[:50]
    for part in np.array_split(np.arange(len(shuffled)), 7):
        await stored(worker, [shuffled[i] for i in part])
    assert await digest(worker) == expected


async def test_blocks_of_any_keys_are_found_whether_they_are_all_combinations_of_points_and_days_or_not(
    worker: Connection,
) -> None:
    """Some blocks of a batch are there, others not; two months."""
    rng = np.random.default_rng(5)
    readings = [reading for reading in curves(4, 3) if reading[2] % 8 == 0]
    shuffled = [readings[i] for i in rng.permutation(len(readings))]
    await stored(worker, readings)
    expected = await digest(worker)
    await worker.execute("DELETE FROM portrait.interval_block")
    kinds = set()
    while shuffled:
        count = int(rng.integers(1, 6))
        part, shuffled = shuffled[:count], shuffled[count:]
        points, days = {r[0] for r in part}, {r[1] for r in part}
        kinds.add(len(points) * len(days) == len({r[:2] for r in part}))
        done = await stored(worker, part)
        assert done.counts == MergeCounts(stored=len(part))
    assert kinds == {True, False}
    assert await digest(worker) == expected


async def test_a_repeated_batch_changes_nothing_and_counts_duplicates(worker: Connection) -> None:
    await stored(worker, curves(2, 1))
    before = await digest(worker)
    again = await stored(worker, curves(2, 1))
    assert again.counts == MergeCounts(duplicates=192)
    assert not again.changed
    assert await digest(worker) == before


async def test_a_batch_of_many_blocks_is_stored_in_parts_with_the_same_result(
    worker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = curves(3, 3)
    whole = await stored(worker, readings)
    expected = await digest(worker)
    await worker.execute("DELETE FROM portrait.interval_block")
    monkeypatch.setattr("services.portrait.metering.store._BLOCKS_AT_ONCE", 2)
    in_parts = await stored(worker, readings)
    assert await digest(worker) == expected
    assert (in_parts.counts, list(in_parts.changed)) == (whole.counts, list(whole.changed))
    assert (await stored(worker, readings)).counts == MergeCounts(duplicates=len(readings))


async def test_two_batches_in_one_transaction_both_arrive(worker: Connection) -> None:
    async with worker.transaction():
        await store_blocks(worker, batch([("UP-0", DAY, 1, 5, 1)]))
        await store_blocks(worker, batch([("UP-0", DAY, 2, 6, 1), ("UP-1", DAY, 2, 6, 1)]))
    assert await worker.fetchval("SELECT sum(present) FROM portrait.interval_block") == 3


async def test_writers_that_create_the_same_blocks_at_once_lose_no_reading(worker_dsn: str) -> None:
    connections = [await asyncpg.connect(worker_dsn) for _ in range(4)]
    readings = curves(20, 2)
    try:
        await asyncio.gather(*[stored(c, readings[i::4]) for i, c in enumerate(connections)])
        total = await connections[0].fetchval("SELECT sum(present) FROM portrait.interval_block")
    finally:
        await asyncio.gather(*[connection.close() for connection in connections])
    assert total == len(readings)


async def test_months_appear_when_needed_and_vanish_with_their_transaction(worker: Connection) -> None:
    transaction = worker.transaction()
    await transaction.start()
    await store_blocks(worker, batch([("UP-0", date(2021, 2, 1), 1, 5, 1)]))
    await transaction.rollback()
    assert await worker.fetchval("SELECT to_regclass('portrait.interval_block_202102')") is None
    await stored(worker, [("UP-0", date(2021, 2, 1), 1, 5, 1)])
    assert await worker.fetchval("SELECT count(*) FROM portrait.interval_block") == 1


async def test_the_worker_cannot_read_a_partition_directly(worker: Connection) -> None:
    await stored(worker, [("UP-0", DAY, 1, 5, 1)])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.fetch("SELECT * FROM portrait.interval_block_202603")


async def test_blocks_stored_before_the_usage_point_was_known_are_adopted_by_the_holder_of_their_day(
    worker: Connection,
) -> None:
    await stored(worker, [("UP-0", DAY, 1, 5, 1), ("UP-0", DAY + timedelta(days=1), 1, 5, 1)])
    async with worker.transaction():
        await hold_usage_point(
            worker,
            usage_point_id="UP-0",
            periods=[(date(2020, 1, 1), DAY + timedelta(days=1), "C-1"), (DAY + timedelta(days=1), None, "C-2")],
        )
    await stored(worker, [("UP-0", DAY + timedelta(days=2), 1, 5, 1)])
    rows = await worker.fetch("SELECT customer_id FROM portrait.interval_block ORDER BY day")
    assert [row["customer_id"] for row in rows] == ["C-1", "C-2", "C-2"]


async def test_orphans_that_missed_the_announcement_are_adopted_later(worker: Connection) -> None:
    await stored(worker, [("UP-0", DAY, 1, 5, 1)])
    await worker.execute("INSERT INTO portrait.usage_point_holder VALUES ('UP-0', '2020-01-01', NULL, 'C-1')")
    assert await adopt_orphans(worker) == [("UP-0", DAY)]
    assert await worker.fetchval("SELECT customer_id FROM portrait.interval_block") == "C-1"


async def test_storing_outside_a_transaction_is_refused(worker: Connection) -> None:
    with pytest.raises(RuntimeError, match="open transaction"):
        await store_blocks(worker, batch([("UP-0", DAY, 1, 5, 1)]))


async def test_month_totals_come_from_the_rollups_of_the_days_in_the_period(worker: Connection) -> None:
    await stored(worker, curves(2, 3))
    found = await month_totals(
        worker, usage_point_ids=["UP-0"], channels=[1], from_day=DAY, to_day=DAY + timedelta(days=2)
    )
    day = 96 * 95 // 2
    assert found == [
        MonthTotal(usage_point_id="UP-0", channel=1, month=date(2026, 3, 1), total=day, minutes=1440),
        MonthTotal(usage_point_id="UP-0", channel=1, month=date(2026, 4, 1), total=day, minutes=1440),
    ]


async def test_a_day_reported_in_two_steps_is_read_once_from_the_fuller_block(worker: Connection) -> None:
    await stored(worker, [("UP-0", DAY, slot, 10, 1) for slot in range(95)])
    async with worker.transaction():
        await store_blocks(worker, batch([("UP-0", DAY, slot, 44, 1) for slot in range(24)], step=60))
    read = await read_curves(worker, usage_point_ids=["UP-0"], channel=1, from_day=DAY, to_day=DAY + timedelta(days=1))
    assert read["UP-0"].step_minutes == 60
    assert read["UP-0"].total_wh == 24 * 44


async def test_curves_hold_a_row_for_every_day_and_add_up_where_all_points_reported(worker: Connection) -> None:
    await stored(worker, [*curves(1, 1), ("UP-1", DAY, 0, 5, 1), ("UP-1", DAY + timedelta(days=1), 0, 5, 1)])
    read = await read_curves(
        worker, usage_point_ids=["UP-0", "UP-1"], channel=1, from_day=DAY, to_day=DAY + timedelta(days=2)
    )
    assert read["UP-0"].energy_wh.shape == (2, 96)
    assert (read["UP-0"].energy_wh[1] == MISSING).all()
    total = sum_of_curves(curves=list(read.values()))
    assert total.energy_wh[0, :2].tolist() == [5, MISSING]
    assert int(total.present.sum()) == 1


def wire_records() -> list[Record]:
    """Three days of two points as day curves, single readings, a late part and a correction, each an event."""
    midnight = datetime(2026, 3, 30, 16, tzinfo=UTC)
    events = []
    for point in range(2):
        for day in range(3):
            start = midnight + timedelta(days=day)
            pieces = [(0, 96, 0)] if day else [(slot, 1, 0) for slot in range(96)]
            for slot, count, revision in [*pieces, (40, 8, 1), (44, 2, 0)]:
                events.append(
                    IntervalBlockRecorded(
                        usage_point_id=f"UP-{point}",
                        channel="active-import",
                        kind="mean-power" if revision else "energy",
                        start=start + timedelta(minutes=15 * slot),
                        step_minutes=15,
                        values=tuple(1_000 * point + 7 * slot + 3 * i + revision for i in range(count)),
                        quality="measured",
                        revision=revision,
                        source_time=start + timedelta(hours=30, minutes=slot),
                    )
                )
    headers = {"ce_source": "head-end", "ce_type": IntervalBlockRecorded.TYPE, "ce_time": "2026-04-03T00:00:00+00:00"}
    return [
        Record(
            topic=event.TOPIC,
            partition=0,
            offset=i,
            key=event.key.encode(),
            value=event.to_wire(),
            headers={**headers, "ce_id": f"e-{i}"},
            timestamp_ms=0,
        )
        for i, event in enumerate(events)
    ]


async def test_events_off_the_wire_end_in_the_same_rows_for_any_order_and_repetition(worker: Connection) -> None:
    records = wire_records()
    ends = set()
    for seed in range(3):
        await worker.execute("DELETE FROM portrait.interval_block")
        rng = np.random.default_rng(seed)
        order = [*rng.permutation(len(records)), *rng.integers(0, len(records), 30)]
        for part in np.array_split(np.array(order), 1 + 4 * seed):
            found = decode_blocks([records[i] for i in part], now=datetime(2026, 4, 3, tzinfo=UTC), window=Window())
            assert not found.rejected
            async with worker.transaction():
                await store_blocks(worker, found.batch)
        ends.add(await digest(worker))
    assert len(ends) == 1
    assert await worker.fetchval("SELECT sum(present) FROM portrait.interval_block") == 2 * 3 * 96
