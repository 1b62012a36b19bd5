"""`portrait-get`: one customer over HTTP with identity, scope, row security and audit, against the usual route."""

import json
import sys
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

from bench.children import run_module
from bench.frame import Benchmark, Measured, Size, Variant
from bench.portrait_get.load import customer
from bench.stack import PROJECT, Stack
from deploy.local.processes import Command, Supervisor, free_port
from services.kernel.auth.grants import Grant, replace_grants
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait.manifest import SERVICE

CONNECTIONS = 16
MANAGER, AREA, AUDIENCE = "P-manager", "unit-1", "keyline-bench"
PRODUCT = (
    "GET /portrait/v1/customers/{id}: OIDC, grants, area scope, row-level security, latest score, audit row, commit"
)
ORM = "FastAPI, SQLAlchemy ORM session.get and response_model as superuser: no identity, scope, score or audit"


@asynccontextmanager
async def portrait_get(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    customers = 2_000 if size.quick else 20_000
    settings = await stack.install(SERVICE, database="portrait_get", broker=False)
    issuer_port, product_port, orm_port = free_port(), free_port(), free_port()
    issuer = f"http://127.0.0.1:{issuer_port}"
    settings = settings.model_copy(
        update={"oidc_issuer": issuer, "oidc_audience": AUDIENCE, "oidc_jwks_url": f"{issuer}/jwks.json"}
    )
    await _fill(stack.dsn("portrait_get"), customers=customers)
    await _grant(settings)
    with Supervisor() as servers:
        environment = stack.environment(settings)
        dsn = stack.dsn("portrait_get").replace("postgresql:", "postgresql+asyncpg:")
        log = stack.folder / "portrait-get"
        for name, argv, ready, extra in (
            ("issuer", ["services.kernel.auth.dev_issuer", "--port", str(issuer_port), "--key-file", str(log / "key")],
             f"{issuer}/jwks.json", {}),
            ("product", ["services.portrait", "serve", "--role", "api", "--port", str(product_port)],
             f"http://127.0.0.1:{product_port}/readyz", {}),
            ("orm", ["bench.portrait_get.orm_route", str(orm_port)],
             f"http://127.0.0.1:{orm_port}/ready", {"BENCH_DSN": dsn}),
        ):  # fmt: skip
            command = [sys.executable, "-m", *argv]
            servers.add(
                Command(name=name, argv=command, log_path=log / f"{name}.log", env={**environment, **extra},
                        cwd=PROJECT, ready_url=ready, ready_timeout_s=60)
            )  # fmt: skip
        servers.start_all()
        ask = partial(_ask, stack=stack, token=_token(issuer), seconds=1 if size.quick else 4, customers=customers)
        yield [
            Variant(name="product", what=PRODUCT, run=lambda: ask(port=product_port, audited=True)),
            Variant(name="orm-route", what=ORM, run=lambda: ask(port=orm_port, audited=False), target=6),
        ]


async def _ask(*, stack: Stack, token: str, seconds: float, customers: int, port: int, audited: bool) -> Measured:
    """Raises AssertionError when not every answered request left its audit row."""
    admin = await asyncpg.connect(stack.dsn("portrait_get"))
    try:
        before = await admin.fetchval("SELECT count(*) FROM portrait.audit WHERE action = 'customer-read'")
        arguments = (str(port), str(seconds), str(CONNECTIONS), str(customers))
        found = await run_module("bench.portrait_get.load", *arguments, environment={"BENCH_TOKEN": token})
        noted = await admin.fetchval("SELECT count(*) FROM portrait.audit WHERE action = 'customer-read'") - before
    finally:
        await admin.close()
    assert noted == (found["asked"] if audited else 0), f"{found['asked']} answers, {noted} audit rows"
    return Measured(
        work=found["requests"],
        seconds=found["seconds"],
        digests={"answers": found["digest"]},
        facts={"p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"]},
    )


async def _fill(dsn: str, *, customers: int) -> None:
    """Generated profiles in one area; no scores, so that both routes answer the same."""
    account = {"service_area_id": AREA, "contract_capacity_kva": "1250", "voltage_kv": "10"}
    body: dict[str, Any] = {
        "accounts": [account | {"account_id": f"A-{n}"} for n in range(2)],
        "importance_grade": "none",
        "primary_class": "high-consumption",
        "attention_reasons": ["open hazard"],
    }
    admin = await asyncpg.connect(dsn)
    try:
        ids = [customer(n) for n in range(customers)]
        profile = (1, json.dumps(body), "生成客户 Generated customer", True, ["high-consumption"], 2, 1)
        explanation = json.dumps({"indicators": {f"indicator-{n}": n / 7 for n in range(7)}})
        await admin.copy_records_to_table(
            "profile", schema_name="portrait", records=[(i, *profile, explanation) for i in ids],
            columns=["customer_id", "version", "body", "name", "key_account", "classes", "attention_level",
                     "cycle_factor", "explanation"],
        )  # fmt: skip
        await admin.copy_records_to_table(
            "owner_area", schema_name="portrait", records=[(i, AREA) for i in ids], columns=["owner_id", "area_id"]
        )
        await admin.execute("VACUUM ANALYZE")
    finally:
        await admin.close()


async def _grant(settings: KernelSettings) -> None:
    database = Database(service=SERVICE.name, metadata=SERVICE.metadata, settings=settings)
    grant = Grant(
        person_id=MANAGER,
        role="account-manager",
        scope_kind="area",
        scope_id=AREA,
        valid_from=datetime.now(UTC) - timedelta(days=1),
        valid_to=None,
    )
    cause, actor = Cause(id="bench", source="bench", type="grant"), Actor(person_id="system:portrait")
    async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        await replace_grants(work, origin="bench", grants=[grant])
    await database.close()


def _token(issuer: str) -> str:
    request = urllib.request.Request(f"{issuer}/token?person_id={MANAGER}", method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(json.load(answer)["access_token"])


BENCHMARKS = (
    Benchmark(
        name="portrait-get",
        summary=f"one customer's portrait over HTTP, {CONNECTIONS} connections",
        unit="requests",
        open=portrait_get,
    ),
)
