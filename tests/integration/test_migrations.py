"""The revisions of each service lead to just the tables that its code declares."""

from collections.abc import AsyncIterator
from importlib import import_module
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.local.postgres import PostgresServer
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, ensure_roles, migrate, undeclared
from services.kernel.settings import KernelSettings

PASSWORD = "only-for-tests"


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


@pytest.mark.parametrize("name", ["inspection", "outage", "portrait", "notify"])
async def test_revisions_and_tables_agree_and_migrating_twice_changes_nothing(
    name: str, settings: KernelSettings, postgres: PostgresServer
) -> None:
    service: Service = import_module(f"services.{name}.manifest").SERVICE
    admin_dsn = postgres.superuser_dsn.rsplit("/", 1)[0] + f"/{settings.database_name}"
    passwords = {f"{name}_{role}": PASSWORD for role in ROLES}
    await ensure_roles(admin_dsn=admin_dsn, service=name, passwords=passwords)

    await migrate(service=service, settings=settings)
    await migrate(service=service, settings=settings)

    assert await undeclared(service=service, settings=settings) == []
