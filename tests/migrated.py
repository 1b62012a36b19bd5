"""Empty migrated databases on the tests' server: migrated once, copied after that."""

from collections.abc import Sequence
from itertools import count

import asyncpg
from pydantic import SecretStr

from deploy.local.postgres import PostgresServer
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, ensure_roles, migrate
from services.kernel.settings import KernelSettings

PASSWORD = "only-for-tests"

_numbers = count(1)
_migrated: set[tuple[int, str]] = set()
"""(the server's port, the database that is copied)."""


def dsn_of(server: PostgresServer, database: str) -> str:
    """The superuser's."""
    return f"{server.superuser_dsn.rsplit('/', 1)[0]}/{database}"


async def empty_database(server: PostgresServer, *services: Service) -> str:
    """The name of a database of the caller's own with the newest schema of each of `services` and their logins."""
    original = "migrated_" + "_".join(service.name for service in services)
    if (server.port, original) not in _migrated:
        await _create(server, original)
        await _migrate(server, original, services)
        _migrated.add((server.port, original))
    copy = f"{original}_{next(_numbers)}"
    await _create(server, copy, template=original)
    return copy


async def _create(server: PostgresServer, name: str, *, template: str = "template1") -> None:
    admin = await asyncpg.connect(server.superuser_dsn)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    finally:
        await admin.close()


async def _migrate(server: PostgresServer, name: str, services: Sequence[Service]) -> None:
    settings = KernelSettings(
        environment="test",
        database_host=server.host,
        database_port=server.port,
        database_name=name,
        database_password=SecretStr(PASSWORD),
    )
    for service in services:
        passwords = {f"{service.name}_{role}": PASSWORD for role in ROLES}
        await ensure_roles(admin_dsn=dsn_of(server, name), service=service.name, passwords=passwords)
        await migrate(service=service, settings=settings)
