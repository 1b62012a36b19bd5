"""Results that were stored as a row for each month are found again in the rows of runs."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import Connection

from deploy.local.postgres import PostgresServer
from services.kernel.migrate import ROLES, as_migrator, attached, ensure_roles, migrate
from services.kernel.settings import KernelSettings
from services.portrait.manifest import SERVICE
from tests.access.rows import indicators_of

PASSWORD = "only-for-tests"
RUN = UUID(int=7)
BEFORE = """
INSERT INTO portrait.score_run (run_id, from_month, month, trial, chunk_customers, scheme_version, requested_by,
  requested_at) VALUES ($1, '2025-12', '2026-01', false, 1, 'v', 'tests', now())"""
COLUMNS = (
    "customer_id", "month", "run_id", "score", "band", "previous_band", "not_scored_because", "scheme_version",
    "shift", "shift_confirmed", "peer_group", "energy_wh", "indicators",
)  # fmt: skip
ROWS: list[tuple[Any, ...]] = [
    ("C-1", "2025-12", RUN, 71.55, "C", "B", None, "v/general/two", "two", True, "C31-S3", 2**40, indicators_of("C-1")),
    ("C-1", "2026-01", RUN, None, None, "C", "no-data", "", "", False, "C31-S3", 0, b""),
    ("C-2", "2025-12", RUN, 100.0, "A", None, None, "v/metal/one", "one", False, "?-S1", -5, indicators_of("C-2")),
    ("C-2", "2026-01", RUN, None, None, "A", "incomplete-data", "v/metal/one", "continuous", False, "?-S1", 12,
     indicators_of("C-2")),
]  # fmt: skip


@pytest.fixture
async def settings(postgres: PostgresServer) -> AsyncIterator[KernelSettings]:
    name = f"carried_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres.superuser_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    yield KernelSettings(
        environment="test",
        database_host=postgres.host,
        database_port=postgres.port,
        database_name=name,
        database_password=SecretStr(PASSWORD),
    )
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def test_earlier_results_stay_what_they_were(settings: KernelSettings, postgres: PostgresServer) -> None:
    dsn = postgres.superuser_dsn.rsplit("/", 1)[0] + f"/{settings.database_name}"
    await ensure_roles(admin_dsn=dsn, service="portrait", passwords={f"portrait_{role}": PASSWORD for role in ROLES})

    def as_it_was(connection: Connection) -> None:
        command.upgrade(attached(connection, SERVICE), "portrait_0007")
        connection.commit()

    await as_migrator(service=SERVICE, settings=settings, do=as_it_was)
    admin = await asyncpg.connect(dsn)
    try:
        for table in ("score", "score_run", "month_facts"):
            await admin.execute(f"ALTER TABLE portrait.{table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        await admin.execute(BEFORE, RUN)
        await admin.copy_records_to_table("score", schema_name="portrait", records=ROWS, columns=COLUMNS)
        await admin.execute(
            "INSERT INTO portrait.score_peer_group (run_id, month, peer_group, peers, scores)"
            " VALUES ($1, '2025-12', 'C31-S3', 8, '{71.55, 99.01, 100}'), ($1, '2025-12', '?-S1', 1, '{}')", RUN,
        )  # fmt: skip
        await admin.execute("INSERT INTO portrait.month_facts VALUES ('C-1', '2025-12-01', false, 'x')")
        await migrate(service=SERVICE, settings=settings)
        found = await admin.fetch(f"SELECT {', '.join(COLUMNS)} FROM portrait.score ORDER BY customer_id, month")
        assert [tuple(row) for row in found] == ROWS
        peers = await admin.fetch("SELECT scores FROM portrait.score_peer_group ORDER BY peer_group DESC")
        assert [np.frombuffer(row["scores"], ">i2").tolist() for row in peers] == [[7155, 9901, 10000], []]
        assert await admin.fetchval("SELECT stale FROM portrait.month_facts")
    finally:
        await admin.close()
