"""Brings one schema to its newest revision: alembic per service, then rights, policies and partitions."""

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from services.kernel.manifest import Service
from services.kernel.rowsecurity import statements
from services.kernel.settings import KernelSettings
from services.kernel.work import Database

ROLES = ("api", "worker", "migrator")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


async def ensure_roles(*, admin_dsn: str, service: str, passwords: dict[str, str]) -> None:
    """Create the schema and its three logins as the database's administrator; `passwords` by login name."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        for role in ROLES:
            login = f"{service}_{role}"
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", login)
            verb = "ALTER" if known else "CREATE"
            await connection.execute(
                f"{verb} ROLE {login} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
                f" PASSWORD {_quoted(passwords[login])}"
            )
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}" AUTHORIZATION {service}_migrator')
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    finally:
        await connection.close()


def configuration(service: Service) -> Config:
    """Alembic's configuration for one service."""
    config = Config()
    kernel = Path(str(files("services.kernel")))
    config.set_main_option("script_location", str(kernel / "alembic"))
    config.set_main_option("version_locations", service.migrations or str(kernel.parent / service.name / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def migrate(*, service: Service, settings: KernelSettings) -> None:
    """Raises alembic's error when a revision fails; nothing of that revision stays (transactional DDL)."""
    database = Database(service=service.name, metadata=service.metadata, settings=settings)
    try:
        async with database.engine("migrator").begin() as connection:
            # Replicas that start together take turns.
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:n))"), {"n": f"migrate-{service.name}"}
            )
            await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            await connection.run_sync(_upgrade, service)
            for statement in statements(service):
                await connection.exec_driver_sql(statement)
    finally:
        await database.close()


def _upgrade(connection: Connection, service: Service) -> None:
    config = configuration(service)
    config.attributes.update(connection=connection, metadata=service.metadata, service=service.name)
    command.upgrade(config, "head")


async def migrate_all(services: Sequence[Service], *, settings: KernelSettings) -> None:
    for service in services:
        await migrate(service=service, settings=settings)


def run(services: Sequence[Service], *, settings: KernelSettings) -> None:
    asyncio.run(migrate_all(services, settings=settings))
