"""A database with a generated population, and runs of the product on it."""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.children import ChildFailed, run_module
from bench.frame import Measured
from bench.scoring.baselines import AFTER_LOADING, SCHEMA
from bench.scoring.generated import BLOCK, MONTHS
from bench.stack import PROJECT, Stack
from bench.store.processors import server_seconds
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait.manifest import SERVICE
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.stored_indicators import decode
from services.portrait.scoring.runs import request_run
from services.portrait.tables import metadata

REPLICAS = 2
_WHOLE = """
SELECT md5(string_agg(concat_ws(',', customer_id, {month}, coalesce(score::text, '-'), coalesce(band, '-'),
  coalesce(not_scored_because, '-')), '|' ORDER BY customer_id, {month})) FROM {table}"""


@dataclass(kw_only=True)
class Population:
    """`settings` sign in as the service; `customers` are loaded with the twelve months of 2025."""

    stack: Stack
    name: str
    settings: KernelSettings
    customers: int

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(self.stack.dsn(self.name))
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.stack.dsn(self.name))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment(self.settings)

    async def load(self, *, day_rows: bool = False, raw: int = 0) -> list[dict[str, Any]]:
        """Two children fill the tables; what each reports."""
        blocks = -(-self.customers // BLOCK)
        half = (blocks + 1) // 2
        options = [*(["--day-rows"] if day_rows else []), *(["--raw", str(raw)] if raw else [])]
        found = await asyncio.gather(
            *[
                run_module(
                    "bench.scoring.load", str(first), str(last), str(self.customers), *options,
                    environment=self.environment, timeout_s=900,
                )
                for first, last in ((0, half), (half, blocks))
                if first < last
            ]
        )  # fmt: skip
        await self.execute("VACUUM ANALYZE")
        return list(found)

    async def run(self, *, replicas: int = REPLICAS, sample: Sequence[str] = ()) -> Measured:
        """The scores of the year by replicas that are ready when the clock starts; ends when they are published."""
        await self.execute(
            "TRUNCATE portrait.score_block, portrait.score_run, portrait.score_chunk, portrait.score_peer_group"
        )
        await self.execute("CHECKPOINT")
        run_id = await self._ask()
        environment = {**os.environ, **self.environment}
        children = [
            await _replica(run_id, {**environment, "KEYLINE_INSTANCE": f"replica-{n}"}) for n in range(replicas)
        ]
        server, begun = server_seconds(self.stack.postgres.pid), time.monotonic()
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
        reports = await asyncio.gather(*[_ended(child) for child in children])
        seconds = max(r["done_at"] for r in reports) - begun
        server = server_seconds(self.stack.postgres.pid) - server
        published = await self.rows("SELECT published_at FROM portrait.score_run WHERE published_at IS NOT NULL")
        if len(published) != 1:
            raise ChildFailed("the run was not published")
        client = sum(r["work_cpu_s"] for r in reports)
        digests = {"whole": (await self.rows(_WHOLE.format(table="portrait.score", month="month")))[0][0]}
        if sample:
            digests["sample"] = await self.sample_digest(sample)
        return Measured(
            work=self.customers * len(MONTHS),
            seconds=seconds,
            digests=digests,
            facts={
                "replicas": replicas,
                "peak_rss_mb": max(r["peak_rss_mb"] for r in reports),
                **per_million(self.customers * len(MONTHS), client=client, server=server),
            },
        )

    async def _ask(self) -> str:
        """A trial: nobody is told, which is the work of other tables; its results are published all the same."""
        database = Database(service="portrait", metadata=metadata, settings=self.settings)
        cause = Cause(id=f"bench-{time.monotonic_ns()}", source="bench", type="ask")
        actor = Actor(person_id="bench")
        try:
            async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
                return await request_run(work, month="2025-12", from_month="2025-01", trial=True)
        finally:
            await database.close()

    async def sample_digest(self, sample: Sequence[str]) -> str:
        """Scores and indicator values of some customers as the product stored them, values to nine digits."""
        rows = await self.rows(
            "SELECT customer_id, month, score, band, not_scored_because, indicators FROM portrait.score"
            " WHERE customer_id = ANY ($1) ORDER BY 1, 2", list(sample),
        )  # fmt: skip
        said = []
        for *head, stored in rows:
            values = decode(stored)
            said.append((*head, [values[code].value if code in values else None for code in SCORED]))
        return _digest(said)

    async def baseline_digests(self, *, sample: Sequence[str], whole: bool) -> Mapping[str, str]:
        columns = ", ".join(SCORED)
        rows = await self.rows(
            f"SELECT customer_id, to_char(month, 'YYYY-MM'), score, band, not_scored_because, {columns}"
            " FROM baseline.score WHERE customer_id = ANY ($1) ORDER BY 1, 2", list(sample),
        )  # fmt: skip
        found = {"sample": _digest([(*row[:5], list(row[5:])) for row in rows])}
        if whole:
            query = _WHOLE.format(table="baseline.score", month="to_char(month, 'YYYY-MM')")
            found["whole"] = (await self.rows(query))[0][0]
        return found


def per_million(customer_months: int, *, client: float, server: float) -> dict[str, float]:
    """Processor seconds for a million customer-months: steadier than rates on a machine that others use too."""
    return {
        "client_cpu_s_per_million": client / customer_months * 1e6,
        "server_cpu_s_per_million": server / customer_months * 1e6,
    }


def _digest(rows: Sequence[tuple[Any, ...]]) -> str:
    found = hashlib.sha256()
    for customer, month, score, band, because, values in rows:
        told = [f"{v:.9g}" if v is not None and because != "no-data" else "-" for v in values]
        found.update(json.dumps([customer, month, score, band, because, told]).encode())
    return found.hexdigest()


async def _replica(run_id: str, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.scoring.replica", run_id, cwd=PROJECT, env=environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    if (await child.stdout.readline()).strip() != b"ready":
        raise ChildFailed("a replica did not get ready")
    return child


async def _ended(child: asyncio.subprocess.Process) -> dict[str, Any]:
    out, _ = await child.communicate()
    if child.returncode:
        raise ChildFailed(f"a replica ended with {child.returncode}")
    return dict(json.loads(out.decode().splitlines()[-1]))


async def open_population(stack: Stack, *, name: str, customers: int, baselines: bool) -> Population:
    """The service's schema, filled; with the baselines' rows where they are wanted."""
    settings = await stack.install(SERVICE, database=name, broker=False)
    population = Population(stack=stack, name=name, settings=settings, customers=customers)
    if baselines:
        await population.execute(SCHEMA)
    await population.load(day_rows=baselines)
    if baselines:
        await population.execute(AFTER_LOADING)
        await population.execute("VACUUM ANALYZE")
    return population
