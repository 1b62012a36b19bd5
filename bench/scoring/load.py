"""`python -m bench.scoring.load FIRST LAST COUNT`: a child that loads blocks [FIRST, LAST) of the generated population.

Signs in as the service's worker and writes through temporary tables, as the service does in bulk. COUNT customers in
all; with `--day-rows` also the rows of the baselines, with `--raw` the first customers' day blocks by the product's own
writer, whose facts must then come out as they were loaded.
"""

import argparse
import asyncio
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import numpy as np

from bench.children import report
from bench.scoring.baselines import DAY_COLUMNS, day_rows
from bench.scoring.generated import BLOCK, INDUSTRIES, MONTHS, SHIFTS, Block, BlockMonth, block, months
from services.kernel.settings import KernelSettings
from services.portrait.metering.store import store_blocks
from services.portrait.rules.day_block import MISSING, WIDTH, BlockKey, Slots
from services.portrait.rules.merge import OfferBatch
from services.portrait.rules.month_facts import encode
from services.portrait.scoring.month_facts import refresh

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SINCE = date(2020, 1, 1)


def dsn(settings: KernelSettings) -> str:
    return settings.database_url(service="portrait", role="worker").replace("+asyncpg", "")


async def insert(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{c}"' for c in columns)
    temporary = f"in_{table}"
    await connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {temporary} ON COMMIT DELETE ROWS AS"
        f" SELECT {names} FROM portrait.{table} WITH NO DATA"
    )
    await connection.copy_records_to_table(temporary, schema_name="pg_temp", records=rows, columns=columns)
    await connection.execute(f"INSERT INTO portrait.{table} ({names}) SELECT {names} FROM pg_temp.{temporary}")
    await connection.execute(f"DELETE FROM pg_temp.{temporary}")


async def load_archive(connection: Connection, who: Block) -> None:
    ids = who.customer_ids()
    await insert(
        connection, "customer", ("customer_id", "version", "name", "former_names", "key_account"),
        [(c, 1, f"生成客户 {c} (generated)", [], False) for c in ids],
    )  # fmt: skip
    await insert(
        connection, "account", ("account_id", "customer_id", "service_area_id"), [(f"A-{c}", c, "AREA-G") for c in ids]
    )
    terms = (
        "account_id", "valid_from", "customer_id", "industry_class", "supply_nature", "voltage_kv",
        "contract_capacity_kva", "operating_capacity_kva", "tariff_type", "basic_charge_method", "contract_demand_kw",
        "purchase_mode", "importance_grade", "dual_supply",
    )  # fmt: skip
    rows = [
        (
            f"A-{c}", SINCE, c, INDUSTRIES[shape], "industrial", 10, kva, kva, "two-part",
            "contract-demand" if demand else "capacity", demand or None, "agent", "none", False,
        )
        for c, shape, kva, demand in zip(
            ids, who.shape.tolist(), who.contract_kva.tolist(), who.contract_demand_kw.tolist(), strict=True
        )
    ]  # fmt: skip
    await insert(connection, "account_terms", terms, rows)
    await insert(
        connection, "usage_point_holder", ("usage_point_id", "from_day", "to_day", "customer_id"),
        [(f"UP-{c}", SINCE, None, c) for c in ids],
    )  # fmt: skip
    await insert(
        connection, "customer_shift",
        ("customer_id", "effective_from", "shift", "shutdown_days", "confirmed_by", "confirmed_at"),
        [
            (c, SINCE, SHIFTS[s], [], "generated", datetime(2025, 1, 1, tzinfo=UTC))
            for c, s in zip(ids, who.shape.tolist(), strict=True)
        ],
    )  # fmt: skip


async def load_month(connection: Connection, who: Block, month: BlockMonth) -> None:
    facts = month.facts()
    # As the product does for a month in which nothing was reported.
    cells = [cell if there else b"" for cell, there in zip(encode(facts), (facts["present"] > 0).tolist(), strict=True)]
    rows = [(c, month.month, False, cell) for c, cell in zip(who.customer_ids(), cells, strict=True)]
    await insert(connection, "month_facts", ("customer_id", "month", "stale", "facts"), rows)


async def store_raw(connection: Connection, who: Block, month: BlockMonth, *, most: int) -> int:
    """Day blocks of the first customers through the product's own writer; how many readings."""
    total = 0
    for place in range(min(most, who.count)):
        point = f"UP-{who.customer_id(place)}"
        active = _offers(point, 1, month.month, month.energy_wh[place])
        total += len(active.cells)
        await store_blocks(connection, active)
        if month.reactive[place]:
            for channel, daily in ((3, month.lagging_varh[place]), (4, month.leading_varh[place])):
                curve = np.zeros((len(daily), WIDTH), np.int64)
                curve[:, 0] = daily
                await store_blocks(connection, _offers(point, channel, month.month, curve))
                total += curve.size
    return total


def _offers(point: str, channel: int, first: date, curve: np.ndarray) -> OfferBatch:
    values = curve.reshape(-1)
    said = values != MISSING
    count = int(said.sum())
    return OfferBatch(
        keys=[BlockKey(point, channel, first + timedelta(days=n), 15) for n in range(len(curve))],
        cells=np.flatnonzero(said),
        offers=Slots(
            value=values[said].astype(np.int32),
            quality=np.full(count, 5, np.uint8),
            revision=np.zeros(count, np.int32),
            source_time_us=np.full(count, 1, np.int64),
            tie=np.full(count, 1, np.uint32),
        ),
    )


async def same_when_refreshed(connection: Connection, ids: Sequence[str]) -> int:
    """Facts made anew from the stored day blocks are byte for byte those loaded. Raises SystemExit; how many."""
    query = "SELECT customer_id, month, facts FROM portrait.month_facts WHERE customer_id = ANY ($1) ORDER BY 1, 2"
    async with connection.transaction():
        loaded = [tuple(r) for r in await connection.fetch(query, list(ids))]
        await refresh(connection, after_id="", up_to_id=max(ids), from_month=MONTHS[0], to_month=date(2026, 1, 1))
        again = [tuple(r) for r in await connection.fetch(query, list(ids))]
    if again != loaded:
        raise SystemExit("facts made from the day blocks differ from the loaded ones")
    return len(again)


async def load(chosen: argparse.Namespace) -> dict[str, float]:
    connection: Connection = await asyncpg.connect(dsn(KernelSettings()))
    found: dict[str, float] = {"customers": 0, "readings_raw": 0, "months_compared": 0}
    for number in range(chosen.first, chosen.last):
        who = block(number, count=min(BLOCK, chosen.count - number * BLOCK))
        async with connection.transaction():
            await load_archive(connection, who)
            for month in months(who):
                await load_month(connection, who, month)
                if chosen.day_rows:
                    await connection.copy_to_table(
                        "day_row", schema_name="baseline", columns=DAY_COLUMNS, format="binary",
                        source=io.BytesIO(day_rows(who, month)),
                    )  # fmt: skip
                if chosen.raw and number == 0:
                    found["readings_raw"] += await store_raw(connection, who, month, most=chosen.raw)
        found["customers"] += who.count
        if chosen.raw and number == 0:
            found["months_compared"] = await same_when_refreshed(connection, who.customer_ids()[: chosen.raw])
    await connection.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("first", "last", "count"):
        parser.add_argument(name, type=int)
    parser.add_argument("--day-rows", action="store_true")
    parser.add_argument("--raw", type=int, default=0)
    report(**asyncio.run(load(parser.parse_args())))


if __name__ == "__main__":
    main()
