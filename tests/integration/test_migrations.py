"""The revisions of each service lead to just the tables that its code declares."""

import dataclasses
from collections.abc import AsyncIterator
from importlib import import_module
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Connection, MetaData, String, Table

from deploy.local.postgres import PostgresServer
from deploy.local.revision import next_revision
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, as_migrator, ensure_roles, migrate, undeclared
from services.kernel.settings import KernelSettings

PASSWORD = "only-for-tests"
SERVICES = ["inspection", "outage", "portrait", "notify"]

# What Postgres itself says of tables, columns, constraints and indexes. Alembic does not compare all of it (checks,
# partition keys, conditions and operator classes of indexes). Partitions are no one's revision.
CATALOG = """
SELECT 'table', c.relname::text, pg_get_partkeydef(c.oid), obj_description(c.oid, 'pg_class'), NULL
FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
UNION ALL
SELECT 'column', c.relname || '.' || a.attname,
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
    nullif(a.attidentity, ''), nullif(a.attgenerated, '')),
  concat_ws(' ', pg_get_expr(d.adbin, d.adrelid), 'collate ' || l.collname), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
UNION ALL
SELECT 'constraint', c.relname || '.' || n.conname, pg_get_constraintdef(n.oid), NULL, NULL
FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
WHERE n.connamespace = $1::regnamespace AND NOT c.relispartition
UNION ALL
SELECT 'index', i.relname::text, pg_get_indexdef(i.oid), NULL, NULL
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
WHERE c.relnamespace = $1::regnamespace AND NOT c.relispartition
"""


async def catalog(dsn: str, schema: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(CATALOG, schema)
    finally:
        await connection.close()
    lines = {" | ".join(str(value) for value in row) for row in rows}
    return {line for line in lines if "alembic_version" not in line}


@pytest.fixture
async def settings(postgres: PostgresServer) -> AsyncIterator[KernelSettings]:
    name = f"migrations_{uuid4().hex[:8]}"
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


async def prepared(name: str, settings: KernelSettings, postgres: PostgresServer) -> tuple[Service, str]:
    service: Service = import_module(f"services.{name}.manifest").SERVICE
    admin_dsn = postgres.superuser_dsn.rsplit("/", 1)[0] + f"/{settings.database_name}"
    passwords = {f"{name}_{role}": PASSWORD for role in ROLES}
    await ensure_roles(admin_dsn=admin_dsn, service=name, passwords=passwords)
    return service, admin_dsn


@pytest.mark.parametrize("name", SERVICES)
async def test_revisions_and_tables_agree_and_migrating_twice_changes_nothing(
    name: str, settings: KernelSettings, postgres: PostgresServer
) -> None:
    service, admin_dsn = await prepared(name, settings, postgres)

    await migrate(service=service, settings=settings)
    await migrate(service=service, settings=settings)

    assert await undeclared(service=service, settings=settings) == []
    migrated = await catalog(admin_dsn, name)
    assert len(migrated) > len(service.metadata.tables) * 4

    def declare(connection: Connection) -> None:
        connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')
        service.metadata.create_all(connection)
        connection.commit()

    grant = await asyncpg.connect(admin_dsn)
    await grant.execute(f"GRANT CREATE ON DATABASE {settings.database_name} TO {name}_migrator")
    await grant.close()
    await as_migrator(service=service, settings=settings, do=declare)
    assert await catalog(admin_dsn, name) == migrated


async def test_changed_and_new_tables_get_a_function_each(settings: KernelSettings, postgres: PostgresServer) -> None:
    service, _ = await prepared("outage", settings, postgres)
    changed = MetaData(schema="outage", naming_convention=service.metadata.naming_convention)
    for table in service.metadata.sorted_tables:
        table.to_metadata(changed)
    changed.tables["outage.feeder"].append_column(Column("owner", String(64)))
    Table("recloser", changed, Column("recloser_id", String(64), primary_key=True), Column("at", String(9), index=True))
    changed.info.update(service.metadata.info)
    later = dataclasses.replace(service, metadata=changed)

    def write(connection: Connection, *tables: str) -> str:
        return next_revision(connection, service=later, message="More", tables=frozenset(tables))[1]

    whole = await as_migrator(service=later, settings=settings, do=write)
    part = await as_migrator(service=later, settings=settings, do=lambda c: write(c, "feeder"))

    assert "def upgrade_feeder() -> None:\n    op.add_column('feeder'" in whole
    assert "def upgrade_recloser() -> None:\n    op.create_table('recloser'" in whole
    assert "def downgrade_feeder() -> None:\n    op.drop_column('feeder', 'owner'" in whole
    assert "recloser" not in part
    for text in (whole, part):
        compile(text, "revision", "exec")
