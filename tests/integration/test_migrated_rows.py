"""Rows that were there before a revision: row-level security hides nothing from it, and they mean what they meant."""

from collections.abc import AsyncIterator
from importlib import import_module
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import Connection

from deploy.local.postgres import PostgresServer
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, attached, ensure_roles, migrate
from services.kernel.rowsecurity import statements
from services.kernel.settings import KernelSettings
from services.kernel.work import Database

PASSWORD = "only-for-tests"


class Old:
    """A database at an earlier revision, under the policies of today."""

    def __init__(self, service: Service, settings: KernelSettings, admin: asyncpg.Connection) -> None:
        self.service, self.settings, self.admin = service, settings, admin

    async def at(self, revision: str, *, owned: tuple[str, ...]) -> None:
        database = Database(service=self.service.name, metadata=self.service.metadata, settings=self.settings)

        def upgrade(connection: Connection) -> None:
            command.upgrade(attached(connection, self.service), revision)
            for statement in statements(self.service):
                if any(f'"{table}"' in statement for table in owned):
                    connection.exec_driver_sql(statement)

        async with database.engine("migrator").begin() as connection:
            await connection.run_sync(upgrade)
        await database.close()

    async def row(self, sql: str) -> tuple[object, ...]:
        [found] = await self.admin.fetch(sql)
        return tuple(found)

    async def seen_by_the_owner(self, table: str) -> int:
        """Rows that the migrator sees outside a migration."""
        dsn = self.settings.database_url(service=self.service.name, role="migrator").replace("+asyncpg", "")
        owner = await asyncpg.connect(dsn)
        try:
            return int(await owner.fetchval(f"SELECT count(*) FROM {self.service.name}.{table}"))
        finally:
            await owner.close()


@pytest.fixture
async def old(postgres: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Old]:
    name, service = f"rows_{uuid4().hex[:8]}", import_module(f"services.{request.param}.manifest").SERVICE
    root = await asyncpg.connect(postgres.superuser_dsn)
    await root.execute(f"CREATE DATABASE {name}")
    dsn = postgres.superuser_dsn.rsplit("/", 1)[0] + f"/{name}"
    await ensure_roles(
        admin_dsn=dsn, service=service.name, passwords={f"{service.name}_{role}": PASSWORD for role in ROLES}
    )
    settings = KernelSettings(
        environment="test", database_host=postgres.host, database_port=postgres.port, database_name=name,
        database_password=SecretStr(PASSWORD),
    )  # fmt: skip
    admin = await asyncpg.connect(dsn)
    yield Old(service, settings, admin)
    await admin.close()
    await root.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await root.close()


@pytest.mark.parametrize("old", ["outage"], indirect=True)
async def test_a_published_plan_stays_as_it_was_announced_and_proven(old: Old) -> None:
    await old.at("outage_0003", owned=("planned_affected", "planned_notice"))
    await old.admin.execute(
        """
        INSERT INTO outage.planned_outage (outage_id, version, feeder_id, section_ids, starts_at, ends_at, reason,
          temporary, status) VALUES
          ('P-said', 1, 'F', '{}', now(), now(), 'r', false, 'published'),
          ('P-new', 1, 'F', '{}', now(), now(), 'r', false, 'accepted');
        INSERT INTO outage.planned_affected (outage_id, usage_point_id, account_id, customer_id) VALUES
          ('P-said', 'U-1', 'A-1', 'C-1'), ('P-said', 'U-2', 'A-1', 'C-1'), ('P-said', 'U-3', 'A-2', 'C-2'),
          ('P-said', 'U-4', 'A-3', 'C-3');
        INSERT INTO outage.planned_notice (outage_id, customer_id, unproven_at, proven_at, in_time) VALUES
          ('P-said', 'C-1', NULL, now(), true), ('P-said', 'C-2', now(), now() - interval '1 day', true);
        """
    )
    await migrate(service=old.service, settings=old.settings)
    assert await old.seen_by_the_owner("planned_affected") == 0, "afterwards the policies hold for the owner again"
    columns = "SELECT said_version, unproven_customers, entered_by FROM outage.planned_outage WHERE outage_id = "
    assert await old.row(f"{columns}'P-said'") == (1, 2, "unknown"), "C-2's proof is older than its alarm; C-3 has none"
    assert await old.row(f"{columns}'P-new'") == (0, 0, "unknown"), "nobody was told yet"


@pytest.mark.parametrize("old", ["notify"], indirect=True)
async def test_a_notice_of_before_proves_the_first_version_and_an_end_keeps_its_beginning(old: Old) -> None:
    await old.at("notify_0005", owned=("delivery", "notice_due", "notice_proof"))
    await old.admin.execute(
        """
        INSERT INTO notify.delivery (delivery_id, happening, person_id, channel, event_class, subject_id, customer_id,
          cause_type, cause_id, facts, language, priority, state, next_attempt_at, give_up_at, event_at, created_at,
          told_of) VALUES
          (gen_random_uuid(), 'a', 'P-1', 'sms', 'planned-outage', 'O-1', 'C-1', 't', 'i', '{"at": "x"}', 'zh', 1,
           'delivered', now(), now(), now(), now(), NULL),
          (gen_random_uuid(), 'b', 'P-1', 'sms', 'supply-restored', 'O-2', 'C-1', 't', 'i', '{}', 'zh', 1,
           'pending', now(), now(), now(), now(), 'fault-outage');
        INSERT INTO notify.notice_due (outage_id, customer_id, standing, changed_at)
          VALUES ('O-1', 'C-1', 'proven', now());
        """
    )
    await migrate(service=old.service, settings=old.settings)
    told = "SELECT facts ->> 'version', told_of FROM notify.delivery WHERE happening = "
    assert await old.row(f"{told}'a'") == ("1", [])
    assert await old.row(f"{told}'b'") == (None, ["fault-outage"])
    assert await old.row("SELECT version, standing FROM notify.notice_due") == (1, "proven")
