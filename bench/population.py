"""`python -m bench.population [--customers 200000]`: a generated population is loaded and scored on this machine.

Says what was loaded, how long it took and how much memory: archive rows and month facts of all customers for the twelve
months of 2025, and for `--raw` of them the day blocks themselves, through the product's own writer, from which the
facts are made again and must be equal byte for byte. Then two replicas score the twelve months. Nothing of it is a
customer: names and ids say that they are generated. The report is kept in `bench/results/population.json`.
"""

import argparse
import asyncio
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import describe
from bench.scoring.generated import MONTHS, SEED, SLOTS
from bench.scoring.house import Population
from bench.stack import Stack
from services.portrait.manifest import SERVICE

RESULT = Path(__file__).parent / "results" / "population.json"
BYTES_PER_CUSTOMER = 60_000
"""Facts, scores, indexes and write-ahead log of twelve months, with room to spare."""


async def measure(stack: Stack, *, customers: int, raw: int) -> dict[str, Any]:
    settings = await stack.install(SERVICE, database="population", broker=False)
    population = Population(stack=stack, name="population", settings=settings, customers=customers)
    print(f"loading {customers:,} generated customers (seed {SEED}) ...", flush=True)
    begun = time.perf_counter()
    loaded = await population.load(raw=raw)
    load_s = time.perf_counter() - begun
    print(f"  {load_s:.1f} s; scoring {len(MONTHS)} months ...", flush=True)
    scored = await population.run()
    print(f"  {scored.seconds:.1f} s", flush=True)
    (counts,) = await population.rows(
        "SELECT (SELECT count(*) FROM portrait.customer) AS customers,"
        " (SELECT count(*) FROM portrait.month_facts) AS month_facts,"
        " (SELECT count(*) FROM portrait.interval_block) AS day_blocks,"
        " (SELECT count(*) FROM portrait.score) AS scores,"
        " (SELECT count(*) FROM portrait.score WHERE score IS NOT NULL) AS scored,"
        " pg_database_size(current_database()) AS database_bytes"
    )
    bands = await population.rows("SELECT band, count(*) FROM portrait.score GROUP BY 1 ORDER BY 1")
    reasons = await population.rows(
        "SELECT not_scored_because, count(*) FROM portrait.score GROUP BY 1 ORDER BY 2 DESC"
    )
    return {
        "what": "generated population: no row of it is a customer",
        "seed": SEED,
        "intervals_generated": customers * 365 * SLOTS,
        "loaded": {
            **dict(counts),
            "readings_in_day_blocks": sum(int(r["readings_raw"]) for r in loaded),
            "months_made_again_from_day_blocks_and_equal": sum(int(r["months_compared"]) for r in loaded),
        },
        "load": {
            "seconds": round(load_s, 1),
            "processes": len(loaded),
            "peak_rss_mb": round(max(r["peak_rss_mb"] for r in loaded), 1),
            "cpu_s": round(sum(r["cpu_s"] for r in loaded), 1),
        },
        "score": {
            "seconds": round(scored.seconds, 1),
            "customer_months_per_s": round(scored.rate),
            **{name: round(v, 1) if isinstance(v, float) else v for name, v in scored.facts.items()},
        },
        "bands": {str(band): count for band, count in bands},
        "not_scored": {str(because): count for because, count in reasons if because},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": await describe(stack),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.population", description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--raw", type=int, default=200, help="customers whose day blocks are stored too")
    chosen = parser.parse_args()
    with Stack() as stack:
        free = shutil.disk_usage(stack.folder).free
        if free < chosen.customers * BYTES_PER_CUSTOMER:
            raise SystemExit(
                f"{free / 1e9:.1f} GB are free; {chosen.customers * BYTES_PER_CUSTOMER / 1e9:.1f} GB may be needed"
            )
        report = asyncio.run(measure(stack, customers=chosen.customers, raw=chosen.raw))
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if chosen.customers >= 200_000:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
