"""One Postgres per module, one empty, migrated database per test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.local.postgres import EmbeddedPostgres, PostgresServer
from deploy.local.processes import free_port
from services.kernel.migrate import ensure_roles, migrate
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.portrait.manifest import SERVICE
from tests.integration.portrait.house import AUDIENCE, PASSWORD, Portrait, numbers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    running = EmbeddedPostgres(folder=tmp_path_factory.mktemp("customers") / "postgres", synchronous_commit="off")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
async def portrait(server: PostgresServer, tmp_path: Path) -> AsyncIterator[Portrait]:
    name = f"p{next(numbers)}"
    admin = await asyncpg.connect(server.superuser_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    dsn = f"{server.superuser_dsn.rsplit('/', 1)[0]}/{name}"
    passwords = {f"portrait_{role}": PASSWORD for role in ("api", "worker", "migrator")}
    await ensure_roles(admin_dsn=dsn, service="portrait", passwords=passwords)
    issuer = f"http://127.0.0.1:{free_port()}"
    settings = KernelSettings(
        environment="test",
        database_host=server.host,
        database_port=server.port,
        database_name=name,
        database_password=SecretStr(PASSWORD),
        oidc_issuer=issuer,
        oidc_audience=AUDIENCE,
        oidc_jwks_url=f"{issuer}/jwks.json",
    )
    await migrate(service=SERVICE, settings=settings)
    database = Database(service="portrait", metadata=SERVICE.metadata, settings=settings)
    yield Portrait(settings=settings, dsn=dsn, database=database, folder=tmp_path)
    await database.close()
