"""`python -m bench [NAME] [--quick] [--rounds N] [--list]`: measured comparisons (bench/README.md).

NAME runs the benchmarks whose name begins so. Exit status 1 when two results differ.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from bench.frame import Benchmark, Row, Size, run
from bench.machine import describe
from bench.stack import Stack

REGISTERED: tuple[str, ...] = (
    "bench.store.benchmarks",
    "bench.channels.benchmarks",
    "bench.scoring.benchmarks",
    "bench.portrait_get.benchmarks",
    "bench.fanout.benchmarks",
    "bench.fanout.latency",
)
"""Modules with a tuple `BENCHMARKS`."""

RESULTS = Path(__file__).parent / "results"


def benchmarks(prefix: str = "") -> list[Benchmark]:
    """Raises SystemExit when no name begins with `prefix`."""
    known: list[Benchmark] = [b for module in REGISTERED for b in import_module(module).BENCHMARKS]
    chosen = [b for b in known if b.name.startswith(prefix)]
    if prefix and not chosen:
        sys.exit(f"no benchmark begins with {prefix!r}; there are: {', '.join(b.name for b in known)}")
    return chosen


async def measure(chosen: Sequence[Benchmark], *, size: Size, command: str) -> list[Row]:
    rows: list[Row] = []
    with Stack() as stack:
        for benchmark in chosen:
            rows += await run(benchmark, stack=stack, size=size, say=lambda text: print(text, flush=True))
        machine = await describe(stack)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return [{**row, "command": command, "measured_at": when, "machine": machine} for row in rows]


def keep(rows: Sequence[Row], *, file: Path, everything: bool) -> None:
    """Replace the rows of the names that ran; a run of everything begins anew."""
    old: list[Row] = json.loads(file.read_text(encoding="utf-8")) if file.exists() and not everything else []
    ran = {row["name"] for row in rows}
    kept = sorted([row for row in old if row["name"] not in ran] + list(rows), key=lambda r: (r["name"], r["against"]))
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def show(rows: Sequence[Row]) -> None:
    print(f"\n{'name':24s}{'against':28s}{'ratio':>8s}  {'range':18s}{'wanted':>8s}  equal")
    for row in rows:
        low, high = row["ratio_range"] or (None, None)
        spread = f"[{low:g}-{high:g}]" if low is not None else ""
        ratio = f"{row['ratio']:g}" if row["ratio"] is not None else "none"
        wanted = f">= {row['target']:g}" if row["target"] is not None else ""
        print(f"{row['name']:24s}{row['against']:28s}{ratio:>8s}  {spread:18s}{wanted:>8s}  {row['results_equal']}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--quick", action="store_true", help="small and short; kept apart from the figures of record")
    parser.add_argument("--rounds", type=int, help="measured rounds after the dropped one")
    parser.add_argument("--list", action="store_true", help="names and what they compare")
    chosen = parser.parse_args()
    found = benchmarks(chosen.name)
    if chosen.list:
        for benchmark in found:
            print(f"{benchmark.name:24s}{benchmark.summary}")
        return
    size = Size(quick=chosen.quick, rounds=chosen.rounds or (2 if chosen.quick else 5))
    words = [
        chosen.name,
        *(["--quick"] if chosen.quick else []),
        *([f"--rounds {size.rounds}"] if chosen.rounds else []),
    ]
    command = " ".join(["python -m bench", *filter(None, words)])
    rows = asyncio.run(measure(found, size=size, command=command))
    file = RESULTS / ("quick.json" if chosen.quick else "latest.json")
    keep(rows, file=file, everything=not chosen.name)
    show(rows)
    print(f"written to {file.relative_to(Path(__file__).parents[1])}")
    sys.exit(0 if all(row["results_equal"] for row in rows) else 1)


if __name__ == "__main__":
    main()
