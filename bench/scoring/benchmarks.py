"""`scoring-`: a year of scores of a generated population, against an ORM loop and single SQL statements; scaling."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from bench.frame import Benchmark, Measured, Size, Variant
from bench.scoring.baselines import statement
from bench.scoring.generated import BLOCK, MONTHS
from bench.scoring.house import Population, open_population, per_million
from bench.scoring.orm import score_customers
from bench.stack import Stack
from bench.store.processors import server_seconds

PRODUCT = "two replicas take chunks: month facts read, scores by arrays, a row of twelve months each, then published"
ORM = "SQLAlchemy session per customer, a day an object, scores added and committed; {} customers sampled"
SQL = "one INSERT ... SELECT over a row per day, work_mem 1 GB"
SQL_CREATE = "one CREATE TABLE ... AS over a row per day, parallel workers, no key and no index on the result"
_INSERT = "INSERT INTO baseline.score"
_CREATE = "CREATE UNLOGGED TABLE baseline.score AS"


def sample_of(customers: int, *, size: int) -> list[str]:
    return [f"G-{n * customers // size + 1:07d}" for n in range(size)]


async def _orm(population: Population, sample: Sequence[str]) -> Measured:
    await _empty(population)
    url = population.settings.database_url(service="portrait", role="worker")
    server, client, begun = server_seconds(population.stack.postgres.pid), time.process_time(), time.perf_counter()
    await score_customers(url, list(sample))
    seconds, client = time.perf_counter() - begun, time.process_time() - client
    server = server_seconds(population.stack.postgres.pid) - server
    digests = await population.baseline_digests(sample=sample, whole=False)
    work = len(sample) * len(MONTHS)
    return Measured(work=work, seconds=seconds, digests=digests, facts=per_million(work, client=client, server=server))


async def _sql(population: Population, sample: Sequence[str], *, into: str) -> Measured:
    await _empty(population)
    connection = await asyncpg.connect(population.stack.dsn(population.name))
    try:
        if into == _CREATE:
            await connection.execute("DROP TABLE baseline.score")
        await connection.execute("SET work_mem = '1GB'; SET max_parallel_workers_per_gather = 2")
        server, begun = server_seconds(population.stack.postgres.pid), time.perf_counter()
        await connection.execute(statement(into=into))
        seconds = time.perf_counter() - begun
        server = server_seconds(population.stack.postgres.pid) - server
    finally:
        await connection.close()
    digests = await population.baseline_digests(sample=sample, whole=True)
    work = population.customers * len(MONTHS)
    return Measured(work=work, seconds=seconds, digests=digests, facts=per_million(work, client=0, server=server))


async def _empty(population: Population) -> None:
    """The result table as the baselines find it, whichever of them ran before."""
    await population.execute("DROP TABLE IF EXISTS baseline.score")
    columns = "load_factor, peak_valley_diff_rate, valley_share, peak_share, power_factor, transformer_utilization,"
    columns += " kwh_per_kva, demand_ratio, demand_cv"
    doubles = ", ".join(f"{name.strip()} float8" for name in columns.split(","))
    await population.execute(
        "CREATE TABLE baseline.score (customer_id text, month date, score float8, band text, not_scored_because text,"
        f" {doubles}, PRIMARY KEY (customer_id, month)); GRANT ALL ON baseline.score TO portrait_worker"
    )
    await population.execute("CHECKPOINT")


@asynccontextmanager
async def year(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    customers = 8_000 if size.quick else 100_000
    population = await open_population(stack, name="scoring_year", customers=customers, baselines=True)
    sample = sample_of(customers, size=50 if size.quick else 200)
    yield [
        Variant(name="product", what=PRODUCT, run=lambda: population.run(sample=sample)),
        Variant(name="orm-loop", what=ORM.format(len(sample)), run=lambda: _orm(population, sample), target=200),
        Variant(name="sql-insert", what=SQL, run=lambda: _sql(population, sample, into=_INSERT), target=3),
        Variant(name="sql-create-table", what=SQL_CREATE, run=lambda: _sql(population, sample, into=_CREATE), target=3),
    ]


@asynccontextmanager
async def scaling(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    """Eight times the customers, then four, two and one; a replica's memory stands in the facts of each."""
    base = BLOCK if size.quick else 12_500
    sample = sample_of(base, size=50)
    populations = {
        times: await open_population(stack, name=f"scoring_x{times}", customers=base * times, baselines=False)
        for times in (8, 4, 2, 1)
    }
    yield [
        Variant(
            name=f"customers-x{times}",
            what=f"{base * times:,} customers, 12 months, two replicas",
            run=lambda p=population: _only_sample(p, sample),  # type: ignore[misc]
        )
        for times, population in populations.items()
    ]


async def _only_sample(population: Population, sample: Sequence[str]) -> Measured:
    found = await population.run(sample=sample)
    return Measured(
        work=found.work, seconds=found.seconds, digests={"sample": found.digests["sample"]}, facts=found.facts
    )


BENCHMARKS = (
    Benchmark(
        name="scoring-year",
        summary="scores of a year, from Postgres to published rows, of a generated population",
        unit="customer-months",
        open=year,
    ),
    Benchmark(
        name="scoring-scaling",
        summary="the same with 8, 4, 2 and 1 times the customers: rate and memory",
        unit="customer-months",
        open=scaling,
    ),
)
